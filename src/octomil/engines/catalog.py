"""Which engine runs which model: one line per engine, imported when it is chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from octomil.config import Settings
from octomil.engines.base import Engine
from octomil.engines.machines import require_apple
from octomil.engines.packages import require_packages
from octomil.errors import ConfigurationError, NoEngineError
from octomil.models.catalog import CATALOG, FileFormat
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
    """What an engine is made from: a reference, its files if they are here, and the settings.

    Attributes:
        engine: what is to run it, by a name of `ENGINES`; None for what suits its format best.
    """

    ref: ModelRef
    files: LocalModel | None
    options: EngineOptions
    settings: Settings
    engine: str | None = None

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
    require_packages("llama_cpp", ("xllamacpp", "msgspec"), extra="serve")
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
    require_packages("onnxruntime", ("onnxruntime", "tokenizers", "numpy"), extra="onnx")
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


def _transformers(asked: EngineRequest) -> Engine:
    require_packages("transformers", TRANSFORMERS_PACKAGES, extra="transformers")
    from octomil.engines.transformers import TransformersEngine

    files, options = asked.require_files(), asked.options
    return TransformersEngine(
        asked.ref.name,
        files.path,
        kind=files.kind,
        context_tokens=context_tokens(files, options),
        threads=options.threads,
    )


def _mlx_lm(asked: EngineRequest) -> Engine:
    require_packages("mlx_lm", ("mlx_lm",), extra=None)
    from octomil.engines.mlx_lm import MlxLmEngine

    files = asked.require_files()
    return MlxLmEngine(asked.ref.name, files.path, context_tokens(files, asked.options))


TRANSFORMERS_PACKAGES = ("torch", "transformers", "gguf", "accelerate")

ENGINES: Mapping[str, Callable[[EngineRequest], Engine]] = MappingProxyType(
    {
        "echo": _echo,
        "llama_cpp": _llama_cpp,
        "mlx_lm": _mlx_lm,
        "ollama": _ollama,
        "onnxruntime": _onnxruntime,
        "openai": _openai,
        "transformers": _transformers,
    }
)

_RUNS: Mapping[str, tuple[FileFormat, ...]] = MappingProxyType(
    {
        "llama_cpp": ("gguf",),
        "onnxruntime": ("onnx",),
        "transformers": ("safetensors", "gguf"),
        "mlx_lm": ("safetensors",),
    }
)
"""The engines that run files, and which; of several that run a format, the first is taken."""


def find_engine(name: str) -> str:
    """Return the engine that a person names: `llama.cpp`, `mlx-lm` and `llama_cpp` are all well.

    Raises:
        ConfigurationError: there is none; the nearest is suggested.
        NoEngineError: it needs another machine.
    """
    written = name.strip().lower().replace("-", "_").replace(".", "_")
    if written == "mlx_lm":
        require_apple()
    if written in ENGINES:
        return written
    near = get_close_matches(written, ENGINES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigurationError(f"no engine is called {name!r}; {hint}engines: {', '.join(ENGINES)}")


def engine_name(ref: ModelRef, files: LocalModel | None, engine: str | None = None) -> str:
    """Return the engine that runs a reference.

    Args:
        ref: what is to run.
        files: its files, if they are here.
        engine: the one it is to be; None for what suits best. `echo` stands in for any model.

    Raises:
        NoEngineError: that engine does not run such a model.
    """
    file_format = files.format if files else None
    if ref.kind == "catalog" and file_format is None:
        file_format = CATALOG[ref.target].format
    if file_format is None and ref.has_files:
        return engine or ref.kind  # only the file will tell
    able = _able(ref, file_format)
    if engine is None:
        return able[0]
    if engine not in (*able, "echo"):
        what = file_format or ref.kind
        raise NoEngineError(
            f"the engine {engine!r} does not run {ref.name!r}, which is {what}; "
            f"{' or '.join(able)} does"
        )
    return engine


def _able(ref: ModelRef, file_format: FileFormat | None) -> list[str]:
    if file_format is None:
        return [ref.kind]
    return [name for name, formats in _RUNS.items() if file_format in formats]


def create_engine(asked: EngineRequest) -> Engine:
    """Return the engine for a model, not loaded yet.

    Raises:
        ConfigurationError: no engine runs such a reference.
        NoEngineError: the engine that it asks for does not run such a model, or not here.
        MissingDependencyError: the engine needs packages that are not installed.
    """
    name = engine_name(asked.ref, asked.files, asked.engine)
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise ConfigurationError(f"no engine runs {asked.ref}; engines: {known}")
    return ENGINES[name](asked)


def context_tokens(files: LocalModel, options: EngineOptions) -> int:
    """Return the context of one request: what was asked for, within what the model has."""
    wanted = options.context_tokens or _DEFAULT_CONTEXT_TOKENS
    return min(wanted, files.context_length) if files.context_length else wanted
