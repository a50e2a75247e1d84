"""A model on this machine, and what its file alone tells about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from octomil.models.catalog import FileFormat, ModelKind
from octomil.models.folders import (
    context_length,
    has_chat_template,
    parameter_count,
    weights_of,
)
from octomil.models.gguf import GgufMetadata
from octomil.models.references import ModelRef
from octomil.models.sources.local import inspect_file


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A model whose files are on this machine.

    Attributes:
        name: the name it is served and shown under.
        reference: what it is, whatever its name (see :mod:`octomil.models.references`).
        kind: what it can be asked for.
        format: file format of the weights.
        path: the weights; the folder where those are safetensors.
        files: file name → path, the weights included.
        size_bytes: of all files together; of the weights alone in a folder of safetensors.
        parameters: number of parameters; None where unknown.
        license: as the catalog has it; None for a file of unknown terms.
        context_length: tokens it was trained for; None where unknown.
        chat_template: name of the prompt format, ``"embedded"`` where only the file knows it, or
            None.
        supports_tools: whether its template is known to have a place for tools.
        sha256: file name → hex digest, as verified when it was pulled; empty for a plain file.
        source: where it came from, for people to read.
    """

    name: str
    reference: str
    kind: ModelKind
    format: FileFormat
    path: Path
    files: Mapping[str, Path]
    size_bytes: int
    parameters: int | None
    license: str | None
    context_length: int | None
    chat_template: str | None
    supports_tools: bool
    sha256: Mapping[str, str]
    source: str


def describe_file(ref: ModelRef, path: Path | None = None) -> LocalModel:
    """Describe a model by its file alone, or by its folder of safetensors.

    Args:
        ref: the reference it is served under.
        path: the weights; the reference's own path by default.

    Raises:
        InvalidModelFileError: there is no such file or folder, or it is no model.
    """
    path = path or Path(ref.target).expanduser()
    if path.is_dir():
        return _describe_folder(ref, path)
    metadata = inspect_file(path)
    names = [path.name] if metadata else [path.name, "tokenizer.json"]
    files = {name: path.parent / name for name in names}
    return LocalModel(
        name=ref.name,
        reference=str(ref),
        kind=_kind(metadata),
        format="gguf" if metadata else "onnx",
        path=path,
        files=files,
        size_bytes=sum(file.stat().st_size for file in files.values()),
        parameters=metadata.parameter_count if metadata else None,
        license=None,
        context_length=metadata.context_length if metadata else None,
        chat_template="embedded" if metadata and metadata.has_chat_template else None,
        supports_tools=bool(metadata and "tools" in (metadata.chat_template or "")),
        sha256={},
        source=str(path),
    )


def _describe_folder(ref: ModelRef, path: Path) -> LocalModel:
    weights = weights_of(path)
    chats = has_chat_template(path)
    files = {file.name: file for file in path.iterdir() if file.is_file()}
    return LocalModel(
        name=ref.name,
        reference=str(ref),
        kind="chat" if chats else "completion",
        format="safetensors",
        path=path,
        files=files,
        size_bytes=sum(file.stat().st_size for file in weights),
        parameters=sum(parameter_count(file) for file in weights),
        license=None,
        context_length=context_length(path),
        chat_template="embedded" if chats else None,
        supports_tools=False,
        sha256={},
        source=str(path),
    )


def _kind(metadata: GgufMetadata | None) -> ModelKind:
    if metadata is None or metadata.is_embedding:
        return "embedding"
    return "chat" if metadata.has_chat_template else "completion"
