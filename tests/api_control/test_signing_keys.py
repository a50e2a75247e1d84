"""Signing keys over HTTP: one follows another, and what the old one signed goes on being signed."""

import base64
from pathlib import Path

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.registry.signatures import verify
from octomil.registry.succession import Endorsement, ListedKey, trusted
from support.control import API, bearer, key_of
from support.versions import made_model, published_version


async def listed(client: httpx.AsyncClient) -> list[dict]:
    return (await client.get(f"{API}/signing-keys")).json()["keys"]


async def signer(client: httpx.AsyncClient, model: str, number: str) -> str:
    """Which of the keys that are listed signed a version's manifest, by its own word and truly."""
    told = (await client.get(f"{API}/models/{model}/versions/{number}/manifest")).json()
    publics = {key["keyid"]: base64.b64decode(key["public_key"]) for key in await listed(client)}
    (signature,) = told["signatures"]
    payload, signed = base64.b64decode(told["payload"]), base64.b64decode(signature["sig"])
    verify(publics[signature["keyid"]], told["payloadType"], payload, signed)
    return signature["keyid"]


async def test_a_new_key_signs_and_the_old_one_is_listed_for_what_it_signed(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model = await made_model(admin)
    await published_version(admin, plane, model, "1.0.0")
    (first,) = await listed(admin)

    answer = await admin.post(f"{API}/signing-keys/rotate")
    await published_version(admin, plane, model, "1.1.0")

    assert answer.status_code == 201, answer.text
    old, new = await listed(admin)
    assert new == answer.json()
    assert (old["keyid"], old["status"], new["status"]) == (first["keyid"], "retired", "active")
    assert old["retired_at"] is not None
    assert [await signer(admin, model, number) for number in ("1.0.0", "1.1.0")] == [
        old["keyid"],
        new["keyid"],
    ]


async def test_each_key_is_endorsed_by_the_one_before_it(admin: httpx.AsyncClient):
    for _ in range(3):
        await admin.post(f"{API}/signing-keys/rotate")

    keys = await listed(admin)
    publics = [base64.b64decode(key["public_key"]) for key in keys]
    shown = [
        ListedKey(
            public=public,
            endorsement=Endorsement(key_id=said["keyid"], signature=base64.b64decode(said["sig"])),
        )
        for public, key in zip(publics, keys, strict=True)
        if (said := key["endorsement"]) is not None
    ]
    assert [key["status"] for key in keys] == ["retired"] * 3 + ["active"]
    assert set(trusted(publics[:1], shown)) == {key["keyid"] for key in keys}


async def test_the_private_part_of_a_retired_key_is_gone(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    await admin.post(f"{API}/signing-keys/rotate")

    with plane.store.snapshot("default") as tx:
        old, new = tx.manifest_keys.list()
    assert (len(old.private), len(new.private)) == (0, 32)


async def test_it_is_noted_who_rotated(admin: httpx.AsyncClient):
    new = (await admin.post(f"{API}/signing-keys/rotate")).json()

    (act, *_) = (await admin.get(f"{API}/audit")).json()["entries"]
    assert (act["operation"], act["target"]) == ("signing_key.rotate", new["keyid"])
    assert act["details"] == {"replaces": new["endorsement"]["keyid"]}


@pytest.mark.parametrize("scope", ["models:write", "keys:write"])
async def test_it_needs_a_scope_of_its_own(
    anybody: httpx.AsyncClient, plane: ControlPlane, scope: str
):
    headers = bearer(key_of(plane, "default", scope))

    answer = await anybody.post(f"{API}/signing-keys/rotate", headers=headers)

    assert (answer.status_code, "signing-keys:write" in answer.text) == (403, True)


async def test_no_file_of_the_database_has_a_retired_keys_private_part(
    admin: httpx.AsyncClient, plane: ControlPlane, tmp_path: Path
):
    await admin.post(f"{API}/signing-keys/rotate")
    with plane.store.snapshot("default") as tx:
        old = tx.manifest_keys.current()
    assert old is not None
    assert old.private in kept(tmp_path)

    await admin.post(f"{API}/signing-keys/rotate")

    assert old.private not in kept(tmp_path)
    assert old.public in kept(tmp_path)


def kept(folder: Path) -> bytes:
    """Every byte of the database's files."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("octomil.sqlite3*")))


async def test_a_reader_of_what_is_to_go_keeps_no_key_from_being_rotated(
    admin: httpx.AsyncClient, plane: ControlPlane, caplog: pytest.LogCaptureFixture
):
    with plane.store.snapshot("default") as tx:
        assert tx.manifest_keys.list() == []
        answer = await admin.post(f"{API}/signing-keys/rotate")

    assert answer.status_code == 201, answer.text
    assert "octomil.sqlite3-wal, which somebody reads" in caplog.text
    plane.store.scrub()
