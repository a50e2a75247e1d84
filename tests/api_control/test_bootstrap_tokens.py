"""`/device-auth/bootstrap-tokens` over HTTP: what lets devices in, and no more."""

import asyncio

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.device_auth import GRACE
from support.control import API, bearer, client_of, key_of
from support.records import operations

TOKENS = f"{API}/device-auth/bootstrap-tokens"


async def made(client: httpx.AsyncClient, **options) -> dict:
    answer = await client.post(TOKENS, json={"name": "line 1"} | options)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def let_in(
    client: httpx.AsyncClient, token: dict, identifier: str = "box-1", **body
) -> httpx.Response:
    return await client.post(
        f"{API}/device-auth/bootstrap",
        json={"device_identifier": identifier} | body,
        headers=bearer(token["token"]),
    )


async def test_a_token_lets_a_device_in_with_labels_and_groups(admin, anybody, plane):
    token = await made(admin, labels={"ward": "icu"}, groups=["beta", "alpha"])

    tokens = (await let_in(anybody, token)).json()

    path = f"{API}/devices/{tokens['device_id']}"
    device = (await anybody.get(path, headers=bearer(tokens["access_token"]))).json()
    assert (device["labels"], device["groups"]) == ({"ward": "icu"}, ["alpha", "beta"])
    with plane.store.snapshot("default") as tx:
        acts = [(entry["operation"], entry["actor"]) for entry in tx.audit.entries()]
    assert ("device_tokens.create", f"bootstrap:{token['id']}") in acts


async def test_its_text_is_shown_once(admin):
    token = await made(admin)

    listed = await admin.get(TOKENS)

    assert token["token"].startswith("obt_")
    assert token["token"] not in listed.text
    (shown,) = listed.json()["bootstrap_tokens"]
    assert shown == {name: value for name, value in token.items() if name != "token"}
    assert shown["status"] == "active"


async def test_a_token_lets_as_many_in_as_it_says(admin, anybody):
    token = await made(admin, max_uses=2)

    answers = await asyncio.gather(*(let_in(anybody, token, f"box-{n}") for n in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 401, 401, 401]
    (shown,) = (await admin.get(TOKENS)).json()["bootstrap_tokens"]
    assert (shown["status"], shown["uses"]) == ("used_up", 2)


async def test_a_device_whose_answer_was_lost_asks_again(admin, anybody):
    token = await made(admin, max_uses=1)

    answers = [await let_in(anybody, token) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["device_id"] for answer in answers}) == 1


async def test_a_device_whose_tokens_were_copied_comes_in_by_the_same_use(admin, anybody, clock):
    token = await made(admin, max_uses=1)
    copied = (await let_in(anybody, token)).json()
    body = {"refresh_token": copied["refresh_token"]}
    assert (await anybody.post(f"{API}/device-auth/refresh", json=body)).status_code == 200
    clock.advance(seconds=GRACE.total_seconds())
    assert (await anybody.post(f"{API}/device-auth/refresh", json=body)).status_code == 401

    again, other = await let_in(anybody, token), await let_in(anybody, token, "box-2")

    assert (again.status_code, other.status_code) == (200, 401)
    assert again.json()["device_id"] == copied["device_id"]


async def test_a_device_that_was_revoked_by_hand_stays_out(admin, anybody):
    token = await made(admin, max_uses=1)
    device = (await let_in(anybody, token)).json()
    await admin.post(f"{API}/devices/{device['device_id']}/revoke")

    assert (await let_in(anybody, token)).status_code == 401


async def test_nobody_gets_the_tokens_of_a_device_that_came_in_otherwise(admin, anybody):
    """Else whoever holds a bootstrap token could pass itself off as any device."""
    first, second = await made(admin), await made(admin)
    device = (await let_in(anybody, first)).json()

    refused = await let_in(anybody, second)
    await admin.post(f"{API}/devices/{device['device_id']}/revoke")
    again = await let_in(anybody, second)

    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert again.json()["device_id"] == device["device_id"]
    (_, shown) = (await admin.get(TOKENS)).json()["bootstrap_tokens"]
    assert shown["uses"] == 1


async def test_a_token_ends_in_time_and_by_hand(admin, anybody, clock, plane):
    late, revoked = await made(admin, expires_in_seconds=60), await made(admin)
    answers = [await admin.post(f"{TOKENS}/{revoked['id']}/revoke") for _ in range(2)]
    clock.advance(minutes=1)

    assert [answer.json()["status"] for answer in answers] == ["revoked", "revoked"]
    assert operations(plane).count("bootstrap_token.revoke") == 1
    for token in (late, revoked):
        assert (await let_in(anybody, token)).status_code == 401
    shown = (await admin.get(TOKENS)).json()["bootstrap_tokens"]
    states = {each["id"]: each["status"] for each in shown}
    assert states == {late["id"]: "expired", revoked["id"]: "revoked"}


async def test_a_device_gets_no_more_than_the_token_may_give(admin, anybody):
    token = await made(admin, device_scopes=["devices:write"])

    answer = await let_in(anybody, token, scopes=["devices:write", "models:read"])

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert (await let_in(anybody, token)).status_code == 200  # and the use was not counted


@pytest.mark.parametrize("scope", ["keys:write", "*", "installation:admin", "models:write"])
async def test_no_device_is_given_what_is_not_for_devices(admin, scope: str):
    answer = await admin.post(TOKENS, json={"name": "x", "device_scopes": [scope]})

    assert answer.status_code == 400
    assert "models:read" in answer.json()["details"]["scopes"]


async def test_nobody_lets_devices_in_with_more_than_it_has(plane: ControlPlane):
    async with client_of(plane, key_of(plane, "default", "devices:write")) as clerk:
        answer = await clerk.post(TOKENS, json={"name": "x", "device_scopes": ["models:read"]})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/devices/register"),
        ("GET", "/devices"),
        ("GET", "/keys"),
        ("POST", "/device-auth/bootstrap-tokens"),
    ],
)
async def test_it_is_good_for_bootstrapping_alone(admin, anybody, method: str, path: str):
    token = await made(admin)

    answer = await anybody.request(
        method, API + path, json={"device_identifier": "x", "name": "x"},
        headers=bearer(token["token"]),
    )  # fmt: skip

    assert answer.status_code == 403
