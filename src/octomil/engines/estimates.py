"""How much memory a model is estimated to take in the engine that runs it."""

from octomil.engines.catalog import EngineOptions, EngineRequest, context_tokens, engine_name
from octomil.engines.memory import MemoryNeed
from octomil.models.catalog import CATALOG
from octomil.models.gguf import estimate_memory_bytes, read_metadata
from octomil.models.local import LocalModel

_SESSION_BYTES = 64 * 2**20  # of ONNX, beside its weights
_TORCH_BYTES = 512 * 2**20  # the interpreter with torch and transformers, and their buffers
_FLOAT32_BYTES = 4


def memory_need(files: LocalModel, options: EngineOptions, engine: str = "llama_cpp") -> MemoryNeed:
    """Estimate what a model takes while it is loaded.

    Args:
        files: the model.
        options: how it runs.
        engine: what runs it; None for what suits its format best.
    """
    if engine == "transformers" or files.format == "safetensors":
        weights = _FLOAT32_BYTES * files.parameters if files.parameters else 2 * files.size_bytes
        return MemoryNeed(files.name, _TORCH_BYTES + weights)
    if files.format != "gguf":
        return MemoryNeed(files.name, files.size_bytes + _SESSION_BYTES)
    tokens = context_tokens(files, options) * options.slots
    weights = estimate_memory_bytes(
        read_metadata(files.path), file_size_bytes=files.size_bytes, context_tokens=tokens
    )
    return MemoryNeed(files.name, weights + options.cache_mib * 2**20)


def least_memory_bytes(asked: EngineRequest) -> int:
    """Return what a model is estimated to take, or at the least while its file is not here."""
    name = engine_name(asked.ref, asked.files, asked.engine)
    if name == "echo":
        return 0
    if asked.files is not None:
        return memory_need(asked.files, asked.options, name).bytes
    if asked.ref.kind != "catalog":
        return 0
    entry = CATALOG[asked.ref.target]
    if name == "transformers":
        return _TORCH_BYTES + _FLOAT32_BYTES * entry.parameters
    return entry.size_bytes + (0 if entry.format == "gguf" else _SESSION_BYTES)
