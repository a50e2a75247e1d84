"""The audit log of a node that is killed, and of one that somebody has been at."""

import json
from functools import partial
from pathlib import Path

import pytest

from octomil.cli.main import main
from support.nodes import chat
from support.serving import ServeProcess, serving
from support.waiting import eventually

REQUESTS = 5


def text_of(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("*.jsonl")))


def is_written(text: str, folder: Path) -> bool:
    return text in text_of(folder)


def ask(served: ServeProcess, prefix: str) -> list[str]:
    """Send some requests, and return their ids."""
    names = [f"{prefix}-{index}" for index in range(REQUESTS)]
    for name in names:
        served.post("/v1/chat/completions", chat("Hello"), headers={"X-Request-Id": name})
    return names


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    capsys.readouterr()
    status = main(["audit", "verify", str(folder), "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def written(tmp_path) -> Path:
    """The log of a node that has stopped."""
    with serving("echo", "--audit-log", str(tmp_path)) as served:
        ask(served, "r")
        assert served.stop() == 0
    return tmp_path


def test_node_that_is_killed_loses_nothing_it_had_written(tmp_path, capsys):
    names: list[str] = []
    for life in range(3):
        with serving("echo", "--audit-log", str(tmp_path)) as served:
            names += ask(served, f"life-{life}")
            last = f'"{names[-1]}"'
            eventually(partial(is_written, last, tmp_path))
            served.process.kill()
            served.process.wait(120)

        status, found = verified(tmp_path, capsys)
        assert (status, found["ok"]) == (0, True)

    assert [name for name in names if f'"{name}"' not in text_of(tmp_path)] == []
    assert found["records"] >= len(names) + 3


def test_second_node_may_not_write_into_the_same_log(tmp_path, capsys):
    with serving("echo", "--audit-log", str(tmp_path)):
        assert main(["serve", "echo", "--port", "0", "--audit-log", str(tmp_path)]) == 1

    assert "no audit log can be kept in" in capsys.readouterr().err


def test_log_as_it_was_written_is_right(written, capsys):
    assert main(["audit", "verify", str(written)]) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"records    {REQUESTS + 2} right",
        "first bad  none",
    ]


def test_record_that_was_edited_is_named(written, capsys):
    (path,) = written.glob("*.jsonl")
    path.write_text(path.read_text().replace('"r-2"', '"r-9"'))

    status, found = verified(written, capsys)
    assert main(["audit", "verify", str(written)]) == 1

    assert (status, found["ok"]) == (1, False)
    assert (found["records"], found["first_bad"]["sequence"]) == (3, 4)
    assert found["first_bad"]["file"] == path.name
    assert f"first bad  record 4 ({path.name}:4)" in capsys.readouterr().out


@pytest.mark.parametrize("gone", [0, 3, REQUESTS + 1])
def test_record_that_is_gone_is_missed(written, capsys, gone):
    (path,) = written.glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:gone] + lines[gone + 1 :]))

    status, found = verified(written, capsys)

    assert (status, found["first_bad"]["sequence"]) == (1, gone + 1)


def test_folder_that_is_not_there_is_a_plain_error(tmp_path, capsys):
    assert main(["audit", "verify", str(tmp_path / "nothing")]) == 1

    assert "no such folder" in capsys.readouterr().err
