"""`/keys` over HTTP: made, shown once, used, rotated, revoked."""

import asyncio

import httpx
import pytest

from octomil.control.jobs.catalog import write_key_uses
from octomil.control.plane import ControlPlane
from octomil.control.scopes import INSTALLATION
from octomil.control.services.api_keys import REMEMBERED_S, ApiKeyService
from support.control import API, bearer, client_of, key_of
from support.records import operations

CI = {"name": "ci", "scopes": ["devices:read", "models:write"]}


async def made(client: httpx.AsyncClient, **changes) -> dict:
    answer = await client.post(f"{API}/keys", json=CI | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def works(client: httpx.AsyncClient, key: str) -> bool:
    answer = await client.get(f"{API}/devices", headers=bearer(key))
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def listed(client: httpx.AsyncClient) -> dict[str, dict]:
    return {key["name"]: key for key in (await client.get(f"{API}/keys")).json()["keys"]}


async def test_a_key_is_shown_once_and_works(admin: httpx.AsyncClient, anybody):
    key = await made(admin)

    assert key["key"].startswith("edg_")
    assert len(key["key"]) == len("edg_") + 43
    assert await works(anybody, key["key"])
    shown = (await listed(admin))["ci"]
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert shown == (await admin.get(f"{API}/keys/{key['id']}")).json()
    assert key["key"].startswith(shown["prefix"])
    assert len(shown["prefix"]) == 10


async def test_no_answer_after_the_first_holds_the_text(admin, plane: ControlPlane):
    key = await made(admin)
    answers = [
        await admin.get(f"{API}{path}") for path in ("/keys", f"/keys/{key['id']}", "/audit")
    ]

    assert all(key["key"] not in answer.text for answer in answers)


async def test_a_key_is_good_for_its_scopes_alone(admin, anybody):
    key = await made(admin)

    answer = await anybody.post(
        f"{API}/devices/register", json={"device_identifier": "x"}, headers=bearer(key["key"])
    )

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


async def test_a_key_ends_in_time(admin, anybody, clock):
    key = await made(admin, expires_in_seconds=60)
    assert key["expires_at"] == "2026-11-21T12:01:00+00:00"

    clock.advance(seconds=59)
    assert await works(anybody, key["key"])
    clock.advance(seconds=1)
    assert not await works(anybody, key["key"])
    assert (await listed(admin))["ci"]["status"] == "expired"


async def test_a_revoked_key_is_out_at_once(admin, anybody, plane: ControlPlane):
    key = await made(admin)
    assert await works(anybody, key["key"])

    answers = [await admin.post(f"{API}/keys/{key['id']}/revoke") for _ in range(2)]

    assert [answer.json()["status"] for answer in answers] == ["revoked", "revoked"]
    assert not await works(anybody, key["key"])
    assert operations(plane).count("api_key.revoke") == 1


async def test_a_replica_that_remembers_a_key_learns_of_its_end(admin, plane: ControlPlane):
    key, at_s = await made(admin), 0.0
    replica = ApiKeyService(plane.store, plane.clock, lambda: at_s)
    assert replica.look_up(key["key"]) is not None
    await admin.post(f"{API}/keys/{key['id']}/revoke")
    assert replica.remembered_caller(key["key"]) is not None

    at_s = REMEMBERED_S + 1

    assert replica.remembered_caller(key["key"]) is None
    assert replica.look_up(key["key"]) is None


async def test_a_rotated_key_is_good_for_a_while_beside_the_one_that_follows(
    admin, anybody, clock, plane: ControlPlane
):
    old = await made(admin, expires_in_seconds=86_400)
    clock.advance(hours=6)

    new = (await admin.post(f"{API}/keys/{old['id']}/rotate", json={"grace_seconds": 3600})).json()

    assert new["scopes"] == sorted(CI["scopes"])
    assert new["name"] == "ci"
    assert new["expires_at"] == "2026-11-22T18:00:00+00:00"
    assert [await works(anybody, each["key"]) for each in (old, new)] == [True, True]
    clock.advance(hours=1)
    assert [await works(anybody, each["key"]) for each in (old, new)] == [False, True]
    before = (await admin.get(f"{API}/keys/{old['id']}")).json()
    assert (before["status"], before["replaced_by"]) == ("expired", new["id"])
    assert operations(plane)[-1] == "api_key.rotate"


async def test_rotating_does_not_lengthen_an_old_keys_life(admin, clock):
    old = await made(admin, expires_in_seconds=60)

    await admin.post(f"{API}/keys/{old['id']}/rotate")

    assert (await admin.get(f"{API}/keys/{old['id']}")).json()["expires_at"] == old["expires_at"]


async def test_a_key_is_rotated_once(admin):
    old = await made(admin)

    answers = await asyncio.gather(
        *(admin.post(f"{API}/keys/{old['id']}/rotate") for _ in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_what_holds_no_more_is_not_rotated(admin, clock):
    revoked, expired = await made(admin), await made(admin, expires_in_seconds=60)
    await admin.post(f"{API}/keys/{revoked['id']}/revoke")
    clock.advance(minutes=1)

    for key in (revoked, expired):
        assert (await admin.post(f"{API}/keys/{key['id']}/rotate")).status_code == 409


async def test_nobody_makes_or_rotates_a_key_that_can_do_more(plane: ControlPlane, admin):
    mighty = await made(admin)
    key = key_of(plane, "default", "keys:write", "devices:read")
    async with client_of(plane, key) as clerk:
        within = await clerk.post(f"{API}/keys", json=CI | {"scopes": ["devices:read"]})
        beyond = await clerk.post(f"{API}/keys", json=CI)
        everything = await clerk.post(f"{API}/keys", json=CI | {"scopes": ["*"]})
        rotated = await clerk.post(f"{API}/keys/{mighty['id']}/rotate")

    statuses = [answer.status_code for answer in (within, beyond, everything, rotated)]
    assert statuses == [201, 403, 403, 403]


async def test_nobody_ends_a_key_that_can_do_more(plane: ControlPlane, admin, anybody):
    weak = bearer(key_of(plane, "default", "keys:write", "devices:read"))
    strong = await made(admin, scopes=["*"])
    equal = await made(admin, scopes=["devices:read"])

    refused = await anybody.post(f"{API}/keys/{strong['id']}/revoke", headers=weak)
    done = await anybody.post(f"{API}/keys/{equal['id']}/revoke", headers=weak)

    assert (refused.status_code, done.status_code) == (403, 200)
    assert await works(anybody, strong["key"])
    assert not await works(anybody, equal["key"])


async def test_everything_in_an_organisation_is_not_the_installation(admin):
    answer = await admin.post(f"{API}/keys", json=CI | {"scopes": [INSTALLATION]})

    assert answer.status_code == 403


async def test_a_scope_that_there_is_not_is_named(admin):
    answer = await admin.post(f"{API}/keys", json=CI | {"scopes": ["device:read"]})

    assert answer.status_code == 400
    assert "did you mean 'devices:read'" in answer.json()["message"]


async def test_the_last_use_is_written_in_a_batch(admin, anybody, clock, plane: ControlPlane):
    key = await made(admin)
    clock.advance(minutes=5)
    await works(anybody, key["key"])
    assert (await listed(admin))["ci"]["last_used_at"] is None

    await write_key_uses(plane)

    assert (await listed(admin))["ci"]["last_used_at"] == "2026-11-21T12:05:00+00:00"


async def test_uses_that_cannot_be_written_wait(admin, anybody, plane: ControlPlane, monkeypatch):
    key = await made(admin)
    await works(anybody, key["key"])

    def fail(_noted: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(plane.key_uses, "write", fail, raising=False)
        with pytest.raises(ZeroDivisionError):
            await write_key_uses(plane)
    await write_key_uses(plane)

    assert (await listed(admin))["ci"]["last_used_at"] is not None
