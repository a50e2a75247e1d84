"""Trying a GGUF model: llama.cpp loads it as when it is served, and writes a token or a vector."""

import asyncio
import math
from pathlib import Path

from octomil.device.smoke.trial import FailedTrialError
from octomil.engines.base import GenerationRequest
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.errors import EngineError, InvalidModelFileError
from octomil.models.catalog import ModelKind
from octomil.models.gguf import read_metadata

_CONTEXT_TOKENS = 64
_TEXT = "Hello"


def try_gguf(path: Path) -> str:
    """Have the model write a token; one that was made for vectors, a vector; return no note.

    Raises:
        FailedTrialError: it cannot be loaded, or does neither.
    """
    try:
        makes_vectors = read_metadata(path).is_embedding
        asyncio.run(_run(path, makes_vectors=makes_vectors))
    except (EngineError, InvalidModelFileError) as error:
        raise FailedTrialError(f"llama.cpp cannot run it: {error}") from error
    return ""


async def _run(path: Path, *, makes_vectors: bool) -> None:
    kind: ModelKind = "embedding" if makes_vectors else "completion"
    spec = WorkerSpec(
        name="tried", path=path, slots=1, context_tokens=_CONTEXT_TOKENS, cache_mib=0, kind=kind
    )
    engine = LlamaCppEngine(spec)
    try:
        await engine.load(_say_nothing)
        await (_require_vector(engine) if makes_vectors else _require_token(engine))
    finally:
        await engine.close()


def _say_nothing(_line: str) -> None:
    """Take what an engine tells people while it loads."""


async def _require_vector(engine: LlamaCppEngine) -> None:
    (vector,) = (await engine.embed([_TEXT])).vectors
    if not vector or not all(math.isfinite(each) for each in vector):
        raise FailedTrialError("its vector has numbers that are not finite")


async def _require_token(engine: LlamaCppEngine) -> None:
    body = {"prompt": _TEXT, "max_tokens": 1, "temperature": 0, "seed": 0}
    answer = await engine.generate(GenerationRequest("completions", body))
    if answer.usage.completion_tokens < 1:
        raise FailedTrialError("it wrote no token")
