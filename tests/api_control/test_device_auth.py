"""`/device-auth` over HTTP: rotation, reuse, revocation."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.access_tokens import AccessTokens
from octomil.control.services.device_auth import FAMILY_TTL, GRACE
from octomil.control.tokens import RefreshToken
from octomil.device.session import AUTH_PATIENCE_S
from support.control import API, bearer, client_of, key_of

BOOTSTRAP = {"org_id": "default", "device_identifier": "box-1", "scopes": ["devices:write"]}


async def bootstrapped(client: httpx.AsyncClient, **changes) -> dict:
    answer = await client.post(f"{API}/device-auth/bootstrap", json=BOOTSTRAP | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refreshed(client: httpx.AsyncClient, tokens: dict) -> httpx.Response:
    body = {"refresh_token": tokens["refresh_token"]}
    return await client.post(f"{API}/device-auth/refresh", json=body)


async def works(client: httpx.AsyncClient, tokens: dict) -> bool:
    answer = await client.get(
        f"{API}/devices/{tokens['device_id']}", headers=bearer(tokens["access_token"])
    )
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def test_a_key_gets_a_device_its_tokens(admin: httpx.AsyncClient, anybody):
    tokens = await bootstrapped(admin)

    assert tokens["token_type"] == "Bearer"
    assert tokens["org_id"] == "default"
    assert tokens["device_identifier"] == "box-1"
    assert tokens["scopes"] == ["devices:write"]
    assert tokens["expires_in"] == 3600
    assert tokens["expires_at"] == "2026-11-21T13:00:00+00:00"
    assert await works(anybody, tokens)


async def test_bootstrapping_again_is_the_same_device(admin: httpx.AsyncClient, anybody):
    first, second = await bootstrapped(admin), await bootstrapped(admin)

    assert first["device_id"] == second["device_id"]
    assert await works(anybody, first)
    assert await works(anybody, second)
    again = await bootstrapped(admin, device_id=first["device_id"])
    assert again["device_id"] == first["device_id"]


async def test_a_bootstrap_whose_answer_was_lost_may_be_repeated(admin: httpx.AsyncClient, anybody):
    """By a bootstrap token that is good once, with the key that clients send on every try."""
    invitation = {"name": "line 1", "max_uses": 1, "device_scopes": ["devices:write"]}
    made = await admin.post(f"{API}/device-auth/bootstrap-tokens", json=invitation)
    headers = {**bearer(made.json()["token"]), "Idempotency-Key": "once"}

    answers = [
        await anybody.post(f"{API}/device-auth/bootstrap", json=BOOTSTRAP, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    lost, tokens = (answer.json() for answer in answers)
    assert tokens["device_id"] == lost["device_id"]
    assert await works(anybody, tokens)


async def test_an_identifier_of_another_device_is_a_conflict(admin: httpx.AsyncClient):
    await bootstrapped(admin)
    body = BOOTSTRAP | {"device_id": "dev_other"}

    answer = await admin.post(f"{API}/device-auth/bootstrap", json=body)

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


async def test_an_access_token_ends_in_time(admin: httpx.AsyncClient, anybody, clock):
    tokens = await bootstrapped(admin, access_ttl_seconds=60)

    clock.advance(seconds=59)
    assert await works(anybody, tokens)
    clock.advance(seconds=1)
    assert not await works(anybody, tokens)


async def test_a_refresh_token_is_exchanged_for_the_next(admin, anybody, clock):
    tokens = await bootstrapped(admin, access_ttl_seconds=120)
    clock.advance(minutes=10)

    following = (await refreshed(anybody, tokens)).json()

    assert following["refresh_token"] != tokens["refresh_token"]
    assert following["expires_in"] == 120
    assert {**following, **tokens} == {**tokens}
    assert await works(anybody, following)


async def test_a_refresh_whose_answer_was_lost_may_be_repeated(admin, anybody, clock):
    tokens = await bootstrapped(admin)

    for _ in range(3):
        clock.advance(seconds=5)
        answer = await refreshed(anybody, tokens)
        assert answer.status_code == 200

    assert (await refreshed(anybody, answer.json())).status_code == 200


async def test_a_refresh_is_repeated_after_all_that_a_client_waits(admin, anybody, clock):
    """The answer is lost, and so is everything else until the client's patience ends."""
    tokens = await bootstrapped(admin)
    assert (await refreshed(anybody, tokens)).status_code == 200
    clock.advance(seconds=AUTH_PATIENCE_S)

    answer = await refreshed(anybody, tokens)

    assert answer.status_code == 200
    assert await works(anybody, answer.json())


async def test_a_refresh_token_that_comes_again_ends_the_family(admin, anybody, clock, plane):
    stolen = await bootstrapped(admin)
    youngest = (await refreshed(anybody, stolen)).json()
    clock.advance(seconds=GRACE.total_seconds())

    answer = await refreshed(anybody, stolen)

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert (await refreshed(anybody, youngest)).status_code == 401
    assert not await works(anybody, youngest)
    with plane.store.snapshot("default") as tx:
        last = list(tx.audit.entries())[-1]
    assert (last["operation"], last["details"]) == ("device_tokens.revoke", {"reason": "reuse"})

    again = await bootstrapped(admin)
    assert again["device_id"] == stolen["device_id"]
    assert await works(anybody, again)


async def test_within_the_grace_a_thief_and_the_owner_cannot_both_go_on(admin, anybody):
    stolen = await bootstrapped(admin)
    thief = (await refreshed(anybody, stolen)).json()
    owner = (await refreshed(anybody, stolen)).json()

    assert (await refreshed(anybody, thief)).status_code == 401
    assert (await refreshed(anybody, owner)).status_code == 401


async def test_of_many_that_refresh_at_once_one_has_the_token_that_goes_on(admin, anybody, plane):
    stolen = await bootstrapped(admin)

    answers = await asyncio.gather(*(refreshed(anybody, stolen) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    tokens = [RefreshToken.parse(answer.json()["refresh_token"]) for answer in answers]
    assert len({token.secret for token in tokens}) == 8
    with plane.store.system_snapshot() as tx:
        family = tx.token_family(tokens[0].family)
    assert [token.hash for token in tokens].count(family.current_hash) == 1
    assert family.previous_hash == RefreshToken.parse(stolen["refresh_token"]).hash


async def test_repeating_does_not_extend_the_grace(admin, anybody, clock):
    tokens = await bootstrapped(admin)
    assert (await refreshed(anybody, tokens)).status_code == 200
    clock.advance(seconds=GRACE.total_seconds() - 1)
    assert (await refreshed(anybody, tokens)).status_code == 200
    clock.advance(seconds=2)

    assert (await refreshed(anybody, tokens)).status_code == 401


async def test_a_family_that_nobody_refreshes_ends(admin, anybody, clock):
    tokens = await bootstrapped(admin)
    clock.advance(seconds=(FAMILY_TTL - timedelta(seconds=1)).total_seconds())
    following = (await refreshed(anybody, tokens)).json()
    clock.advance(seconds=(FAMILY_TTL - timedelta(seconds=1)).total_seconds())
    last = (await refreshed(anybody, following)).json()
    clock.advance(seconds=FAMILY_TTL.total_seconds())

    assert (await refreshed(anybody, last)).status_code == 401


async def test_a_revoked_device_is_out_at_once(admin, anybody):
    tokens, other = await bootstrapped(admin), await bootstrapped(admin, device_identifier="box-2")
    body = {"refresh_token": tokens["refresh_token"], "reason": "sdk_revoke"}

    answers = [await anybody.post(f"{API}/device-auth/revoke", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == {"status": "revoked"}
    assert not await works(anybody, tokens)
    assert (await refreshed(anybody, tokens)).status_code == 401
    assert await works(anybody, other)


@pytest.mark.parametrize("token", ["x", "odr_x", f"odr_{'0' * 32}.x", "odr_" + "0" * 32])
async def test_an_unknown_refresh_token_is_refused_and_quietly_revoked(anybody, token: str):
    body = {"refresh_token": token}

    assert (await anybody.post(f"{API}/device-auth/refresh", json=body)).status_code == 401
    assert (await anybody.post(f"{API}/device-auth/revoke", json=body)).status_code == 200


async def test_a_wrong_secret_of_a_known_family_revokes_nothing(admin, anybody):
    tokens = await bootstrapped(admin)
    forged = {"refresh_token": tokens["refresh_token"][:-1] + "#"}

    await anybody.post(f"{API}/device-auth/revoke", json=forged)

    assert await works(anybody, tokens)


async def test_only_a_key_with_the_scopes_may_bootstrap(admin, anybody, plane: ControlPlane):
    tokens = await bootstrapped(admin)
    by_token = await anybody.post(
        f"{API}/device-auth/bootstrap", json=BOOTSTRAP, headers=bearer(tokens["access_token"])
    )
    async with client_of(plane, key_of(plane, "default", "devices:write")) as writer:
        within = await writer.post(f"{API}/device-auth/bootstrap", json=BOOTSTRAP)
        beyond = await writer.post(
            f"{API}/device-auth/bootstrap", json=BOOTSTRAP | {"scopes": ["models:read"]}
        )
        not_for_devices = await admin.post(
            f"{API}/device-auth/bootstrap", json=BOOTSTRAP | {"scopes": ["keys:write"]}
        )

    assert (by_token.status_code, within.status_code, beyond.status_code) == (403, 200, 403)
    assert not_for_devices.status_code == 400


async def test_another_replica_learns_of_a_revocation(admin, anybody, plane: ControlPlane):
    tokens = await bootstrapped(admin)
    replica = AccessTokens(plane.store, plane.clock)
    assert replica.caller(tokens["access_token"]) is not None

    await anybody.post(f"{API}/device-auth/revoke", json={"refresh_token": tokens["refresh_token"]})
    assert replica.caller(tokens["access_token"]) is not None
    replica.refresh()

    assert replica.caller(tokens["access_token"]) is None


async def test_a_rotated_secret_is_used_once_every_replica_knows_it(
    admin, anybody, plane: ControlPlane, clock
):
    old = await bootstrapped(admin, access_ttl_seconds=86_400)
    clock.advance(minutes=1)
    replica = AccessTokens(plane.store, plane.clock)
    plane.access_tokens.rotate_secret()

    soon = await bootstrapped(admin)
    assert replica.caller(soon["access_token"]) is not None
    clock.advance(seconds=10)
    plane.access_tokens.refresh()
    replica.refresh()
    later = await bootstrapped(admin)

    secrets = {tokens["access_token"].partition(".")[0] for tokens in (old, soon, later)}
    assert len(secrets) == 2
    assert all([await works(anybody, tokens) for tokens in (old, soon, later)])
    assert all(replica.caller(tokens["access_token"]) for tokens in (old, soon, later))
