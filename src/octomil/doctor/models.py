"""Which models are here, and how fast they are."""

import asyncio
import os
from collections.abc import Iterator, Sequence

from octomil.config import Settings
from octomil.doctor.finding import Finding, note, ok, problem
from octomil.errors import OctomilError
from octomil.models.catalog import CATALOG, format_parameters
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference

_MEASURE_S = 180.0
_CONTEXT_TOKENS = 512


def check_aliases(settings: Settings) -> Iterator[Finding]:
    """Judge whether each alias leads to a model."""
    for name, target in settings.model_aliases.items():
        try:
            parse_reference(name, settings.model_aliases)
        except OctomilError as error:
            yield problem("alias", f"{name}={target}: {error}", "correct OCTOMIL_MODEL_ALIASES")


def local_models(settings: Settings) -> list[LocalModel]:
    """Return the models in the cache, by name.

    Raises:
        OctomilError: the cache cannot be read.
    """
    return ModelStore(settings).list()


def check_models(models: Sequence[LocalModel]) -> Finding:
    """Judge what is here already."""
    names = [f"{model.name} ({format_size(model.size_bytes)})" for model in models]
    if any(model.kind == "chat" for model in models):
        return ok("models", f"{len(names)} here: {', '.join(names)}")
    smallest = min(
        (entry for entry in CATALOG.values() if entry.kind == "chat"), key=lambda e: e.size_bytes
    )
    here = f"only {', '.join(names)} here" if names else "none here"
    return note(
        "models",
        f"{here}; `octomil serve` fetches what it needs",
        f"octomil pull {smallest.name} fetches {format_size(smallest.size_bytes)} now",
    )


def measure_models(
    models: Sequence[LocalModel], settings: Settings, *, threads: int, free_bytes: int | None
) -> Iterator[Finding]:
    """Load each chat model that fits, one after the other, and tell how fast it writes."""
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    for model in models:
        if model.kind != "chat":
            continue
        if free_bytes is not None and model.size_bytes > free_bytes:
            yield note(
                "speed",
                f"{model.name} is not measured: {format_size(model.size_bytes)} do not fit",
                "end other programs and measure again",
            )
            continue
        yield _measure(model, settings, threads, load_average)


def _measure(model: LocalModel, settings: Settings, threads: int, load_average: float) -> Finding:
    try:
        tokens_per_s = asyncio.run(_tokens_per_s(model, settings, threads))
    except (OctomilError, ImportError, TimeoutError) as error:
        reason = str(error) or f"no answer within {_MEASURE_S:g} s"
        return problem("speed", f"{model.name}: {reason}", f"octomil pull --verify {model.name}")
    if tokens_per_s is None:
        return note("speed", f"{model.name} wrote too little to be measured", "measure again")
    return judge_speed(model, tokens_per_s, threads, load_average)


def judge_speed(
    model: LocalModel, tokens_per_s: float, threads: int, load_average: float
) -> Finding:
    """Tell a model's speed, and whether other programs kept it down.

    Args:
        model: what was measured.
        tokens_per_s: how fast it wrote.
        threads: the threads it had.
        load_average: how many threads of other programs wanted to run before.
    """
    size = format_parameters(model.parameters)
    speed = f"{tokens_per_s:.0f}" if tokens_per_s >= 10 else f"{tokens_per_s:.1f}"
    detail = f"{model.name} ({size}): {speed} tokens/s on {threads} threads"
    if load_average > max(1.0, threads / 2):
        busy = f"{detail}, beside other programs (load average {load_average:.1f})"
        return note("speed", busy, "end other programs and measure again")
    return ok("speed", detail)


async def _tokens_per_s(model: LocalModel, settings: Settings, threads: int) -> float | None:
    from octomil.engines.catalog import EngineOptions, EngineRequest, create_engine
    from octomil.serve.startup import measure_speed

    ref = ModelRef(kind="catalog", name=model.name, target=model.reference)
    options = EngineOptions(threads=threads, slots=1, context_tokens=_CONTEXT_TOKENS, cache_mib=0)
    engine = create_engine(EngineRequest(ref, model, options, settings))
    try:
        async with asyncio.timeout(_MEASURE_S):
            await engine.load(lambda _line: None)
            await measure_speed(engine)  # the first answer pays for cold caches
            pace = await measure_speed(engine)
    finally:
        await engine.close()
    return pace.tokens / pace.seconds if pace else None
