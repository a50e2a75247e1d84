"""How often callers may ask: in one replica, in several that share a Redis, and without it."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import pytest

from octomil.control.gcra import RateLimit
from octomil.control.limits.redis import RedisLimits
from octomil.control.plane import ControlPlane
from octomil.control.services.rate_limits import Limits
from octomil.errors import ConfigurationError
from support.control import API, bearer, client_of, control_plane, key_of
from support.prometheus import read_metrics
from support.redis import redis_place, redis_server, redis_url

THREE = Limits(key=RateLimit(3, 3600), device=RateLimit(2, 3600))


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[ControlPlane]:
    with control_plane(tmp_path, limits=THREE) as plane:
        yield plane


async def statuses(client: httpx.AsyncClient, key: str, times: int) -> list[int]:
    answers = [await client.get(f"{API}/devices", headers=bearer(key)) for _ in range(times)]
    return [answer.status_code for answer in answers]


async def test_who_asks_too_often_is_told_when_to_come_back(limited: ControlPlane):
    key = key_of(limited)
    async with client_of(limited, key) as client:
        answers = [await client.get(f"{API}/devices") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    left = [int(answer.headers["ratelimit-remaining"]) for answer in answers]
    assert left == [2, 1, 0, 0]
    last = answers[-1]
    assert last.headers["ratelimit-limit"] == "3"
    assert 0 < int(last.headers["retry-after"]) <= 1200
    assert 2400 < int(last.headers["ratelimit-reset"]) <= 3600
    assert last.json()["error"] == "rate_limited"
    assert last.json()["details"] == {"retry_after_s": int(last.headers["retry-after"])}


async def test_each_key_has_a_limit_of_its_own(limited: ControlPlane):
    first, second = key_of(limited), key_of(limited)
    async with client_of(limited) as client:
        assert await statuses(client, first, 4) == [200, 200, 200, 429]
        assert await statuses(client, second, 1) == [200]
        assert (await client.get("/health")).status_code == 200
        metrics = read_metrics((await client.get("/metrics")).text)
    assert metrics["octomil:control_rate_limit_refused_total"].value() == 1


async def test_a_device_that_polls_too_often_is_refused_on_every_way(limited: ControlPlane):
    async with client_of(limited, key_of(limited)) as client:
        body = {"device_identifier": "box-1"}
        tokens = (await client.post(f"{API}/device-auth/bootstrap", json=body)).json()
        path, headers = f"{API}/devices/{tokens['device_id']}", bearer(tokens["access_token"])
        polls = [await client.get(f"{path}/assignments", headers=headers) for _ in range(3)]
        beat = await client.post(f"{path}/heartbeat", headers=headers)

    assert [poll.status_code for poll in polls] == [200, 200, 429]
    assert polls[0].headers["ratelimit-remaining"] == "1"
    assert "retry-after" in polls[2].headers
    assert beat.status_code == 429


async def test_replicas_share_a_limit_through_redis(tmp_path: Path):
    with ExitStack() as servers, redis_server() as url:
        planes = [
            servers.enter_context(control_plane(tmp_path, limits=THREE, redis_url=url))
            for _ in range(2)
        ]
        key = key_of(planes[0])
        async with AsyncExitStack() as clients:
            both = [await clients.enter_async_context(client_of(plane)) for plane in planes]
            found = [(await statuses(client, key, 1))[0] for client in [*both, *both]]
            text = (await both[0].get("/metrics")).text
        for plane in planes:
            await plane.rate_limits.close()

    assert found == [200, 200, 200, 429]
    assert read_metrics(text)["octomil:control_rate_limit_unshared_total"].value() == 0


async def test_a_redis_that_is_down_takes_nothing_down_and_one_that_is_back_counts(
    tmp_path: Path,
):
    now_s = 0.0
    with (
        redis_place() as place,
        control_plane(tmp_path, limits=THREE, redis_url=redis_url(place)) as plane,
    ):
        plane.rate_limits._clock_s = lambda: now_s
        key = key_of(plane)
        async with client_of(plane) as client:
            without = await statuses(client, key, 2)
            with redis_server(place):
                resting = await statuses(client, key, 1)
                now_s = 60.0
                counted = await statuses(client, key, 4)
            now_s = 120.0
            gone = await statuses(client, key, 1)
            text = (await client.get("/metrics")).text
        await plane.rate_limits.close()

    assert without + resting == [200, 200, 200]
    assert counted == [200, 200, 200, 429]
    assert gone == [429]  # by the three that this replica has counted itself
    assert read_metrics(text)["octomil:control_rate_limit_unshared_total"].value() == 4


async def test_redis_decides_as_memory_does():
    limit = RateLimit(5, 3600)
    with redis_server() as url:
        limits = RedisLimits(url)
        found = [await limits.take("key:a", limit) for _ in range(7)]
        other = await limits.take("key:b", limit)
        await limits.close()

    assert [each.allowed for each in found] == [True] * 5 + [False] * 2
    assert [each.remaining for each in found] == [4, 3, 2, 1, 0, 0, 0]
    assert 0 < found[-1].retry_after_s <= 720
    assert found[-1].reset_s == pytest.approx(found[-1].retry_after_s + 4 * 720)
    assert other.remaining == 4


def test_what_is_no_url_of_a_redis_is_refused():
    with pytest.raises(ConfigurationError, match="redis://HOST"):
        RedisLimits("http://example.com")
