"""A file that was damaged on the disk is found, and whole again once its content is sent again."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench.crash_clients import model_file, sha256_of

from octomil.cli.main import main
from octomil.control.blobs.layout import key_of
from support.control import client_of, control_plane
from support.control import key_of as api_key_of
from support.registry import downloaded, new_model, sent, uploaded

CONTENT = model_file(1)


def fsck(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    """What `octomil fsck` finds, and what it says to people."""
    status = main(["fsck", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert main(["fsck", str(folder)]) == status
    return status, found, capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "way"), [("changed", "form"), ("cut", "session"), ("gone", "form")]
)
async def test_the_same_content_heals_a_damaged_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str, way: str
):
    (tmp_path / "FORMAT").write_text("octomil control plane, format 1\n", encoding="utf-8")
    digest = sha256_of(CONTENT)
    place = tmp_path / "blobs" / key_of(digest)
    with control_plane(tmp_path) as plane:
        async with client_of(plane, api_key_of(plane)) as client:
            model = await new_model(client)
            assert (await sent(client, model, CONTENT)).status_code == 201
            if damage == "gone":
                place.unlink()
            else:
                place.write_bytes(b"x" + CONTENT[1:] if damage == "changed" else CONTENT[:-1])
            found, damaged, shown = fsck(tmp_path, capsys)
            if way == "form":
                assert (await sent(client, model, CONTENT, "2.0.0")).status_code == 201
            else:
                await uploaded(client, CONTENT)
            healed = fsck(tmp_path, capsys)
            whole = await downloaded(client, model)

    assert found == 1
    assert damaged["missing" if damage == "gone" else "differs"] == [digest]
    assert "send the same file again" in shown
    assert healed[0] == 0
    assert healed[2].startswith("0 of 1 blobs differ")
    assert whole.content == CONTENT
