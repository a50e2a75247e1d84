"""Which engine runs which model: one line per engine, imported when it is chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from octomil.config import Settings
from octomil.engines.base import Engine
from octomil.errors import ConfigurationError
from octomil.models.catalog import CATALOG
from octomil.models.local import LocalModel
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef

_DEFAULT_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How local engines run their models.

    Attributes:
        threads: CPU threads for each model.
        slots: requests each model works on at once.
        context_tokens: tokens per request; None takes 4096, or less if the model has less.
        cache_mib: memory each model may use for prompts kept after their request.
    """

    threads: int = 1
    slots: int = 2
    context_tokens: int | None = None
    cache_mib: int = 256


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What an engine is made from: a reference, its files if they are here, and the settings."""

    ref: ModelRef
    files: LocalModel | None
    options: EngineOptions
    settings: Settings

    def require_files(self) -> LocalModel:
        """Return the files, fetched now if need be.

        Raises:
            ConfigurationError: the reference has none.
            ModelError: they cannot be had.
        """
        if self.files is not None:
            return self.files
        if not self.ref.has_files:
            raise ConfigurationError(f"{self.ref} names no model file, which this engine needs")
        return ModelStore(self.settings).pull(self.ref)


def _echo(asked: EngineRequest) -> Engine:
    from octomil.engines.echo import EchoEngine

    return EchoEngine(asked.ref.name)


def _llama_cpp(asked: EngineRequest) -> Engine:
    from octomil.engines.llama_cpp.engine import LlamaCppEngine
    from octomil.engines.llama_cpp.spec import WorkerSpec

    files, options = asked.require_files(), asked.options
    spec = WorkerSpec(
        name=asked.ref.name,
        path=files.path,
        slots=options.slots,
        context_tokens=context_tokens(files, options),
        threads=options.threads,
        cache_mib=options.cache_mib,
        kind=files.kind,
    )
    return LlamaCppEngine(spec)


def _onnxruntime(asked: EngineRequest) -> Engine:
    from octomil.engines.onnxruntime import OnnxEmbeddingEngine

    def locate() -> tuple[Path, Path]:
        files = asked.require_files()
        return files.path, files.files.get("tokenizer.json", files.path.with_name("tokenizer.json"))

    return OnnxEmbeddingEngine(asked.ref.name, locate, threads=asked.options.threads)


def _ollama(asked: EngineRequest) -> Engine:
    from octomil.engines.ollama import OllamaEngine

    return OllamaEngine(asked.ref.target, asked.settings)


def _openai(asked: EngineRequest) -> Engine:
    from octomil.engines.openai import OpenAIEngine

    return OpenAIEngine(asked.ref.target, asked.settings)


ENGINES: Mapping[str, Callable[[EngineRequest], Engine]] = MappingProxyType(
    {
        "echo": _echo,
        "llama_cpp": _llama_cpp,
        "ollama": _ollama,
        "onnxruntime": _onnxruntime,
        "openai": _openai,
    }
)


def engine_name(ref: ModelRef, files: LocalModel | None) -> str:
    """Return the engine that runs a reference."""
    file_format = files.format if files else None
    if ref.kind == "catalog" and file_format is None:
        file_format = CATALOG[ref.target].format
    return {"gguf": "llama_cpp", "onnx": "onnxruntime", None: ref.kind}[file_format]


def create_engine(asked: EngineRequest) -> Engine:
    """Return the engine for a model, not loaded yet.

    Raises:
        ConfigurationError: no engine runs such a reference.
    """
    name = engine_name(asked.ref, asked.files)
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise ConfigurationError(f"no engine runs {asked.ref}; engines: {known}")
    return ENGINES[name](asked)


def context_tokens(files: LocalModel, options: EngineOptions) -> int:
    """Return the context of one request: what was asked for, within what the model has."""
    wanted = options.context_tokens or _DEFAULT_CONTEXT_TOKENS
    return min(wanted, files.context_length) if files.context_length else wanted
