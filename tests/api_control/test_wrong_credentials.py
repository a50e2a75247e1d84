"""Who shows what is no key or token: turned away by readers, and not too often."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from octomil.control.app import build_app
from octomil.control.gcra import RateLimit
from octomil.control.plane import ControlPlane
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


def client_at(address: str, plane: ControlPlane) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_app(plane), client=(address, 50000))
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
