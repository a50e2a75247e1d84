"""A first short answer of an engine: that it works at all, and how fast."""

import asyncio
import math

from octomil.engines.base import Engine, Pace
from octomil.engines.speed import PROMPT, write_once
from octomil.errors import GenerationError

_TIMEOUT_S = 300.0  # a large model on a busy machine; only one that hangs takes longer


async def smoke_test(engine: Engine, *, timeout_s: float = _TIMEOUT_S) -> Pace | None:
    """Return if a loaded engine does what it says that it can, and how fast it writes.

    Args:
        engine: loaded.
        timeout_s: seconds after which it is taken to hang.

    Raises:
        GenerationError: it makes no answer, or a vector of something else than numbers.
        EngineError: it says itself that it cannot.
    """
    try:
        async with asyncio.timeout(timeout_s):
            if engine.capabilities.completions:
                written = await write_once(engine)
                if not written.tokens:
                    raise GenerationError("the smoke test was answered with no token at all")
                return written.pace
            if engine.capabilities.embeddings:
                await _require_vector(engine)
    except TimeoutError as error:
        message = f"the smoke test was not answered within {timeout_s:g} s"
        raise GenerationError(message) from error
    return None


async def _require_vector(engine: Engine) -> None:
    (vector,) = (await engine.embed([PROMPT])).vectors
    if not (len(vector) and all(map(math.isfinite, vector))):
        raise GenerationError("the smoke test was answered with a vector that is not all numbers")
