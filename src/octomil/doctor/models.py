"""Which models are here, and how fast they are."""

from collections.abc import Iterator, Sequence

from octomil.config import Settings
from octomil.doctor.finding import Finding, note, ok, problem
from octomil.engines.cores import is_busy, load_average
from octomil.engines.local_benchmark import benchmark_local
from octomil.engines.speed import PATIENCE_S
from octomil.errors import OctomilError
from octomil.models.catalog import CATALOG, format_parameters
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference


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
    load = load_average()
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
        yield _measure(model, settings, threads, load)


def _measure(model: LocalModel, settings: Settings, threads: int, load: float) -> Finding:
    try:
        speed = benchmark_local(model, settings, threads).speed
    except (OctomilError, ImportError, TimeoutError) as error:
        reason = str(error) or f"no answer within {PATIENCE_S:g} s"
        return problem("speed", f"{model.name}: {reason}", f"octomil pull --verify {model.name}")
    if speed is None:
        return note("speed", f"{model.name} wrote too little to be measured", "measure again")
    return judge_speed(model, speed.tokens_per_s, threads, load)


def judge_speed(model: LocalModel, tokens_per_s: float, threads: int, load: float) -> Finding:
    """Tell a model's speed, and whether other programs kept it down.

    Args:
        model: what was measured.
        tokens_per_s: how fast it wrote.
        threads: the threads it had.
        load: how many threads of other programs wanted to run before.
    """
    size = format_parameters(model.parameters)
    speed = f"{tokens_per_s:.0f}" if tokens_per_s >= 10 else f"{tokens_per_s:.1f}"
    detail = f"{model.name} ({size}): {speed} tokens/s on {threads} threads"
    if is_busy(load, threads):
        busy = f"{detail}, beside other programs (load average {load:.1f})"
        return note("speed", busy, "end other programs and measure again")
    return ok("speed", detail)
