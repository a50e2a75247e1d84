"""`/inference/health` over plain HTTP, and how backends that failed come back."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.control.backend_metrics import BackendMetrics
from octomil.control.backends.catalog import open_backends
from octomil.control.ports import GenerationQuery, InferenceBackend, Piece
from octomil.control.services.backend_chain import POLICY, BackendChain
from octomil.control.services.backend_health import health_of
from octomil.errors import (
    EngineAbsentError,
    EngineUnavailableError,
    EngineUnreachableError,
    GenerationError,
    OctomilError,
)
from octomil.wire.inference import Message
from support.backends import EchoBackend
from support.control import client_of, control_plane, key_of
from support.inference import HEALTH, nobody
from support.manual_clock import ManualClock
from support.ollama_api import MODELS, ollama_api
from support.waiting import PATIENCE_S

QUERY = GenerationQuery(model="m", messages=[Message(role="user", content="hello")])
LATER_S = POLICY.max_recovery_timeout_s * (1 + POLICY.jitter) + 1


class Fallible(EchoBackend):
    """The echo, which fails for as long as there is an error to fail with."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.error: OctomilError | None = None
        self.asked = self.looked_at = 0

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        async for piece in super().stream(query):
            yield piece

    async def models(self) -> Sequence[str]:
        self.looked_at += 1
        if self.error is not None:
            raise self.error
        return await super().models()


def chain_of(clock: ManualClock, *backends: InferenceBackend) -> BackendChain:
    return BackendChain(backends, BackendMetrics(), clock)


async def provider_of(chain: BackendChain) -> str:
    generation = await chain.begin(QUERY)
    pieces = [piece async for piece in generation]
    assert "".join(piece.text for piece in pieces) == "hello"
    return generation.provider


async def test_one_that_is_out_of_reach_is_not_asked_until_a_look_finds_it_well():
    clock, first, second = ManualClock(), Fallible("first"), Fallible("second")
    chain = chain_of(clock, first, second)
    first.error = EngineUnreachableError("refused")
    assert [await provider_of(chain) for _ in range(5)] == ["second"] * 5
    assert first.asked == 1

    await chain.look()
    assert first.looked_at == 0, "it is left alone for a while"
    clock.advance(LATER_S)
    assert await provider_of(chain) == "second"
    assert first.asked == 1, "no request finds out for others"
    await chain.look()
    assert first.looked_at == 1
    first.error = None
    await chain.look()
    assert first.looked_at == 1, "it failed again, and is left alone again"
    clock.advance(LATER_S)
    await chain.look()

    assert await provider_of(chain) == "first"


async def test_one_that_fails_five_times_in_a_row_is_not_asked():
    clock, first, second = ManualClock(), Fallible("first"), Fallible("second")
    chain = chain_of(clock, first, second)
    first.error = GenerationError("nonsense")

    assert [await provider_of(chain) for _ in range(8)] == ["second"] * 8
    assert first.asked == POLICY.failure_threshold


async def test_if_it_is_the_only_one_the_refusal_says_why_and_when_to_come_back():
    clock, only = ManualClock(), Fallible("only")
    chain = chain_of(clock, only)
    only.error = EngineUnreachableError("refused")
    with pytest.raises(EngineUnavailableError, match="it cannot be reached"):
        await chain.begin(QUERY)

    with pytest.raises(EngineUnavailableError, match="not asked for now") as refused:
        await chain.begin(QUERY)

    assert 1 <= refused.value.retry_after_s <= POLICY.recovery_timeout_s * (1 + POLICY.jitter)
    assert only.asked == 1


async def test_an_answer_that_is_not_wanted_any_more_speaks_against_nobody():
    clock, first = ManualClock(), Fallible("first")
    chain = chain_of(clock, first)
    for _ in range(8):
        generation = await chain.begin(QUERY)
        await generation.aclose()

    assert await provider_of(chain) == "first"


async def test_each_backend_tells_its_models(tmp_path: Path):
    with ollama_api() as api, nobody() as url:
        settings = Settings(ollama_base_url=api.url, openai_api_endpoint=url)
        with control_plane(tmp_path, backends=open_backends(settings)) as plane:
            async with client_of(plane, key_of(plane)) as client:
                answer = await client.get(HEALTH)
            await plane.inference.close()

    assert answer.status_code == 200
    told = answer.json()
    up, down = told["backends"]
    assert told["status"] == "degraded"
    assert up.pop("latency_ms") > 0
    assert up == {
        "name": "ollama",
        "status": "up",
        "models": sorted(MODELS),
        "detail": None,
        "is_asked": True,
    }
    assert down == {
        "name": "openai",
        "status": "down",
        "latency_ms": None,
        "models": [],
        "detail": "it cannot be reached",
        "is_asked": True,
    }


async def test_the_whole_is_as_good_as_its_parts():
    clock, one, two = ManualClock(), Fallible("one"), Fallible("two")
    links = chain_of(clock, one, two).links
    seen = [(await health_of(links, clock)).status]
    one.error = EngineUnreachableError("refused")
    seen.append((await health_of(links, clock)).status)
    two.error = GenerationError("nonsense")
    seen.append((await health_of(links, clock)).status)

    assert seen == ["ok", "degraded", "down"]
    assert (await health_of((), clock)).status == "down"


async def test_one_that_nobody_said_is_there_is_not_missed():
    clock, one, two = ManualClock(), Fallible("one"), Fallible("two")
    links = chain_of(clock, one, two).links
    one.error = EngineAbsentError("refused")
    found = await health_of(links, clock)
    two.error = EngineUnreachableError("refused")

    assert ([each.status for each in found.backends], found.status) == (["absent", "up"], "ok")
    assert (await health_of(links, clock)).status == "down"


class Silent(EchoBackend):
    async def models(self) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class Mute(Silent):
    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        raise EngineUnreachableError("refused")
        yield


class Sociable(Mute):
    """Tells its models once as many are asked as the barrier has parties."""

    def __init__(self, name: str, all_asked: asyncio.Barrier) -> None:
        super().__init__(name)
        self._all_asked = all_asked

    async def models(self) -> Sequence[str]:
        await self._all_asked.wait()
        return []


async def test_one_that_does_not_tell_in_time_is_unknown():
    clock = ManualClock()

    found = await health_of(chain_of(clock, Silent("mute")).links, clock, within_s=0.01)

    assert (found.backends[0].status, found.status) == ("unknown", "down")
    assert "0.01 s" in (found.backends[0].detail or "")


async def test_a_look_at_one_that_does_not_tell_in_time_ends():
    clock = ManualClock()
    mute = Mute("mute")
    chain = chain_of(clock, mute)
    with pytest.raises(EngineUnavailableError):
        await chain.begin(QUERY)
    clock.advance(LATER_S)

    async with asyncio.timeout(PATIENCE_S):
        await chain.look(within_s=0.01)

    with pytest.raises(EngineUnavailableError, match="told no models"):
        await chain.begin(QUERY)


async def test_a_look_at_one_does_not_wait_for_another():
    clock, both = ManualClock(), asyncio.Barrier(2)
    chain = chain_of(clock, Sociable("one", both), Sociable("two", both))
    with pytest.raises(EngineUnavailableError):
        await chain.begin(QUERY)
    clock.advance(LATER_S)

    async with asyncio.timeout(PATIENCE_S):
        await chain.look()

    assert [link.is_asked for link in chain.links] == [True, True]
