"""How fast an engine writes, and what that takes: measured on the real engine, in a moment."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from octomil.engines.base import Engine, GenerationRequest, Pace

TOKENS = 24
PATIENCE_S = 300.0
"""So long a model may take to load and to be measured."""

PROMPT = "Once upon a time, in a village by the sea, there lived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast an engine wrote.

    Attributes:
        tokens_per_s: of the tokens after the first.
        first_token_ms: time from the request to the first token, its short prompt read.
    """

    tokens_per_s: float
    first_token_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What a model did on this machine.

    Attributes:
        speed: how fast it wrote; None if it wrote too little to tell.
        memory_bytes: resident memory of the processes that ran it, the pages of its file among it;
            None for an engine that has no process of its own.
    """

    speed: Speed | None
    memory_bytes: int | None


class Written(NamedTuple):
    """A short text: its tokens, when the first came, and the pace of those after it if any did."""

    tokens: int
    first_token_ms: float
    pace: Pace | None


async def write_once(engine: Engine) -> Written:
    """Have an engine continue a text."""
    body = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
    began = perf_counter()
    stream = engine.stream(GenerationRequest("completions", body))
    first = last = 0.0
    async with aclosing(stream.events) as events:
        async for _ in events:
            last = perf_counter()
            first = first or last
    tokens = stream.usage.completion_tokens
    pace = Pace(tokens - 1, last - first) if tokens > 1 and last > first else None
    return Written(tokens, 1000 * (first - began), pace)


async def measure_speed(engine: Engine) -> Speed | None:
    """Return how fast an engine writes; None if it writes no text, or too little to tell.

    Short on purpose: it also warms the model's caches, and the first answer does not pay for it.
    """
    if not engine.capabilities.completions:
        return None
    written = await write_once(engine)
    if written.pace is None:
        return None
    tokens, seconds = written.pace
    return Speed(tokens_per_s=tokens / seconds, first_token_ms=written.first_token_ms)


async def benchmark(engine: Engine) -> Benchmark:
    """Load a model, measure it once its caches are warm, and close it.

    Nothing else of this process may run models meanwhile: memory is that of all its children.

    Raises:
        EngineError: it cannot be loaded, or fails.
        TimeoutError: it took longer than `PATIENCE_S`.
    """
    before = children_memory_bytes()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await engine.load(_quietly)
            await measure_speed(engine)  # the first answer pays for cold caches
            speed = await measure_speed(engine)
            memory_bytes = children_memory_bytes() - before
    finally:
        await engine.close()
    return Benchmark(speed=speed, memory_bytes=memory_bytes if memory_bytes > 0 else None)


def children_memory_bytes() -> int:
    """Return the resident memory of the processes that this one has started."""
    import psutil

    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def _quietly(_line: str) -> None:
    """Say nothing while a model loads."""
