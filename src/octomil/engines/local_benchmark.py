"""What a model that is on this machine does here: run by its own engine, measured, and closed."""

import asyncio

from octomil.config import Settings
from octomil.engines.catalog import EngineOptions, EngineRequest, create_engine
from octomil.engines.speed import Benchmark, benchmark
from octomil.models.local import LocalModel
from octomil.models.references import ModelRef

_CONTEXT_TOKENS = 512


def benchmark_local(model: LocalModel, settings: Settings, threads: int) -> Benchmark:
    """Run a model of the catalog in the engine that would serve it.

    Args:
        model: whose files are here.
        settings: from the environment.
        threads: of the processor.

    Raises:
        EngineError: it cannot be loaded, or fails.
        ImportError: its engine is not installed.
        TimeoutError: it took too long.
    """
    ref = ModelRef(kind="catalog", name=model.name, target=model.reference)
    options = EngineOptions(threads=threads, slots=1, context_tokens=_CONTEXT_TOKENS, cache_mib=0)
    return asyncio.run(benchmark(create_engine(EngineRequest(ref, model, options, settings))))
