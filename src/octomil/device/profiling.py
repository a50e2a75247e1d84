"""Measuring this machine: how fast the models that are here run in the engine that serves them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from octomil.config import Settings
from octomil.device.hardware import Hardware
from octomil.engines.catalog import engine_name
from octomil.engines.local_benchmark import benchmark_local
from octomil.engines.memory import free_memory_bytes
from octomil.engines.speed import PATIENCE_S
from octomil.errors import OctomilError, UnknownModelError
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.references import ModelRef, parse_reference
from octomil.wire.placement import AcceleratorName, MeasuredModel, ProfileUpload

_BYTES_PER_MB = 1e6


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A model that was not measured, and why."""

    name: str
    reason: str


def chosen_models(
    here: Sequence[LocalModel], names: Sequence[str], settings: Settings
) -> Sequence[LocalModel]:
    """Return the models that are to be measured: those that are named, else all that are here.

    Raises:
        UnknownModelError: there is no such model, or it is not here.
    """
    if not names:
        return here
    by_reference = {model.reference: model for model in here}
    found = {}
    for name in names:
        reference = str(parse_reference(name, settings.model_aliases))
        if reference not in by_reference:
            raise UnknownModelError(f"{name} is not here; `octomil pull {name}` fetches it")
        found[reference] = by_reference[reference]
    return list(found.values())


def measured(
    models: Sequence[LocalModel], settings: Settings, threads: int
) -> Iterator[MeasuredModel | NotMeasured]:
    """Run each model, one after the other; one that cannot be measured holds up no other."""
    for model in models:
        if model.kind == "embedding":
            yield NotMeasured(model.name, "it makes vectors and writes no tokens")
            continue
        free_bytes = free_memory_bytes()
        if model.size_bytes > free_bytes:
            size, free = format_size(model.size_bytes), format_size(free_bytes)
            yield NotMeasured(model.name, f"it has {size}, and {free} of memory are free")
            continue
        try:
            yield _measured(model, settings, threads)
        except (OctomilError, TimeoutError) as error:
            yield NotMeasured(model.name, str(error) or f"no answer within {PATIENCE_S:g} s")


def profile_of(
    hardware: Hardware,
    accelerator: AcceleratorName,
    threads: int,
    models: Sequence[MeasuredModel],
) -> ProfileUpload:
    """Return what is told the control plane."""
    return ProfileUpload(
        platform=hardware.platform,
        total_memory_mb=hardware.memory_bytes // 2**20,
        gpu_available=hardware.gpu.found,
        npu_available=hardware.npu.found,
        accelerator=accelerator,
        threads=threads,
        models=list(models),
        hardware=[hardware.gpu, hardware.npu],
    )


def _measured(model: LocalModel, settings: Settings, threads: int) -> MeasuredModel | NotMeasured:
    found = benchmark_local(model, settings, threads)
    if found.speed is None:
        return NotMeasured(model.name, "it wrote too little to be measured")
    memory = found.memory_bytes
    ref = ModelRef(kind="catalog", name=model.name, target=model.reference)
    return MeasuredModel(
        model_id=model.name,
        model_size_mb=model.size_bytes / _BYTES_PER_MB,
        model_params=model.parameters,
        engine=engine_name(ref, model),
        tokens_per_s=found.speed.tokens_per_s,
        first_token_ms=found.speed.first_token_ms,
        memory_mb=None if memory is None else memory / _BYTES_PER_MB,
    )
