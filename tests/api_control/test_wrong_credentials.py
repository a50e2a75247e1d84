"""Who shows what is no key or token: turned away by readers, and not too often."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.app import build_app
from octomil.control.gcra import RateLimit
from octomil.control.plane import ControlPlane
from octomil.control.services.api_keys import REMEMBERED_S
from octomil.control.services.rate_limits import Limits
from octomil.control.stores.sql import SqlSystemTransaction
from support.control import API, bearer, client_of, control_plane, key_of
from support.model_files import safetensors_file
from support.registry import new_model, sent

UNKNOWN = f"odr_{'0' * 32}.{'x' * 43}"
HANGS_S = 120.0


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[ControlPlane]:
    """A plane that bears two failures of an address."""
    with control_plane(tmp_path, limits=Limits(failures=RateLimit(2, 3600))) as plane:
        yield plane


@pytest.fixture
async def stranger(limited: ControlPlane) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(limited) as client:
        yield client


@pytest.mark.parametrize(("what", "status"), [("refresh", 401), ("revoke", 200)])
async def test_an_unknown_token_keeps_no_writer_waiting(
    anybody: httpx.AsyncClient, plane: ControlPlane, what: str, status: int
):
    go_on = threading.Event()
    writing = asyncio.create_task(plane.threads.write(go_on.wait, HANGS_S))
    await asyncio.sleep(0)  # it is under way
    try:
        async with asyncio.timeout(HANGS_S):
            body = {"refresh_token": UNKNOWN}
            answer = await anybody.post(f"{API}/device-auth/{what}", json=body)
    finally:
        go_on.set()
        await writing

    assert answer.status_code == status


@pytest.mark.parametrize("what", ["refresh", "revoke", "key", "bootstrap", "link"])
async def test_an_address_that_fails_too_often_is_told_when_to_come_back(
    stranger: httpx.AsyncClient, what: str
):
    answers = [await failing(stranger, what) for _ in range(3)]

    assert 429 not in [each.status_code for each in answers[:2]]
    assert answers[2].status_code == 429
    assert 0 < int(answers[2].headers["retry-after"]) <= 1800


async def failing(client: httpx.AsyncClient, what: str) -> httpx.Response:
    match what:
        case "refresh" | "revoke":
            body = {"refresh_token": UNKNOWN}
            return await client.post(f"{API}/device-auth/{what}", json=body)
        case "link":
            query = {"org_id": "default", "expires": 1, "name": "x", "key": "x", "signature": "x"}
            return await client.get(f"{API}/blobs/{'0' * 64}", params=query)
        case kind:
            token = "edg_wrong" if kind == "key" else "obt_wrong"
            return await client.get(f"{API}/models", headers=bearer(token))


async def test_failures_of_an_address_are_held_against_no_other_and_no_good_token(
    limited: ControlPlane, stranger: httpx.AsyncClient
):
    key = bearer(key_of(limited))
    assert (await stranger.get(f"{API}/models", headers=key)).status_code == 200
    for _ in range(3):
        await failing(stranger, "key")

    assert (await failing(stranger, "key")).status_code == 429
    assert (await stranger.get(f"{API}/models", headers=key)).status_code == 200
    async with client_at("192.0.2.7", limited) as other:
        assert (await failing(other, "key")).status_code == 401


@pytest.mark.parametrize("what", ["refresh", "key", "link"])
async def test_failures_that_come_at_once_are_counted_before_they_are_known(
    stranger: httpx.AsyncClient, what: str
):
    answers = await asyncio.gather(*(failing(stranger, what) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers)[2:] == [429] * 18


async def test_good_keys_that_come_at_once_pass_however_many(
    limited: ControlPlane, stranger: httpx.AsyncClient
):
    keys = [bearer(key_of(limited)) for _ in range(20)]

    gone = asyncio.create_task(stranger.get(f"{API}/models", headers=keys.pop()))
    coming = [asyncio.create_task(stranger.get(f"{API}/models", headers=key)) for key in keys]
    await asyncio.sleep(0)
    gone.cancel()  # a client that hangs up keeps nobody waiting

    assert {answer.status_code for answer in await asyncio.gather(*coming)} == {200}


async def test_a_key_that_was_good_is_looked_up_whatever_others_showed(
    limited: ControlPlane, stranger: httpx.AsyncClient
):
    now_s = 0.0
    limited.api_keys._clock_s = lambda: now_s
    key = bearer(key_of(limited))
    assert (await stranger.get(f"{API}/models", headers=key)).status_code == 200
    for _ in range(3):
        await failing(stranger, "key")

    now_s = 2 * REMEMBERED_S
    assert (await stranger.get(f"{API}/models", headers=key)).status_code == 200
    with limited.store.transaction("default") as tx:  # as another replica would
        assert tx.api_keys.revoke(tx.api_keys.list()[-1].id, limited.clock())
    now_s = 4 * REMEMBERED_S
    answers = [await stranger.get(f"{API}/models", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]


async def test_a_true_link_that_has_expired_is_no_failure(
    limited: ControlPlane, stranger: httpx.AsyncClient
):
    link, expires_at = limited.download_links.give("default", "0" * 64, "m.onnx")
    query = {"org_id": "default", "expires": link.expires_s, "name": link.name,
             "key": link.key_id, "signature": link.signature}  # fmt: skip
    limited.clock.advance(seconds=(expires_at - limited.clock()).total_seconds())

    answers = [await stranger.get(f"{API}/blobs/{link.digest}", params=query) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "expired" in answers[0].json()["message"]


async def test_behind_a_trusted_proxy_failures_are_those_of_its_clients(limited: ControlPlane):
    async def fails(address: str, *hops: str) -> int:
        headers = {"x-forwarded-for": ", ".join(hops)}
        async with client_at(address, limited, trusted_proxies=("10.0.0.0/8",)) as client:
            client.headers.update(headers)
            return (await failing(client, "key")).status_code

    bad = [await fails("10.0.0.1", f"203.0.113.{number}", "192.0.2.1") for number in range(3)]

    assert bad == [401, 401, 429]  # whatever the client itself put before
    assert await fails("10.0.0.1", "192.0.2.2") == 401
    assert await fails("10.0.0.1", "192.0.2.1", "10.0.0.2") == 429
    assert [await fails("192.0.2.9", f"198.51.100.{n}") for n in range(3)] == [401, 401, 429]


def client_at(address: str, plane: ControlPlane, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_app(plane, **options), client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://control")


async def test_links_of_unknown_keys_cause_one_look(
    admin: httpx.AsyncClient, anybody, monkeypatch: pytest.MonkeyPatch
):
    model = await new_model(admin)
    assert (await sent(admin, model, safetensors_file(w=[1.0]))).status_code == 201
    path = f"{API}/models/{model}/versions/1.0.0/download-url"
    url = (await admin.get(path)).json()["url"]
    looks, look = [], SqlSystemTransaction.signing_secrets

    def looked(tx: SqlSystemTransaction):
        looks.append(tx)
        return look(tx)

    monkeypatch.setattr(SqlSystemTransaction, "signing_secrets", looked)
    for number in range(5):
        forged = httpx.URL(url).copy_merge_params({"key": f"unknown-{number}"})
        assert (await anybody.get(forged)).status_code == 403

    assert len(looks) <= 1
    assert (await anybody.get(url)).status_code == 200
