"""A model file that is on this machine already: check that it is what its name says."""

from pathlib import Path

from octomil.errors import InvalidModelFileError
from octomil.models.catalog import FileFormat
from octomil.models.gguf import MAGIC, GgufMetadata, read_metadata

# An ONNX file is a protobuf without magic bytes; its first field is the IR version.
_ONNX_START = b"\x08"


def file_format(path: Path) -> FileFormat:
    """Tell a model file's format by its first bytes.

    Raises:
        InvalidModelFileError: there is no such file, or it is neither GGUF nor ONNX.
    """
    if not path.is_file():
        hint = "" if path.is_absolute() else f"; for a file on the hub write hf:{path}"
        raise InvalidModelFileError(f"there is no file {path}{hint}")
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise InvalidModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    if start == MAGIC:
        return "gguf"
    if path.suffix == ".onnx" and start.startswith(_ONNX_START):
        return "onnx"
    raise InvalidModelFileError(
        f"{path} is no model: it starts with {start!r}, where a GGUF file has {MAGIC!r}"
    )


def inspect_file(path: Path) -> GgufMetadata | None:
    """Check a model file and read its header; None for ONNX, which has none to speak of.

    Raises:
        InvalidModelFileError: as in :func:`file_format`, or the header is damaged, or an ONNX
            embedding model has no ``tokenizer.json`` beside it.
    """
    if file_format(path) == "gguf":
        return read_metadata(path)
    if not (path.parent / "tokenizer.json").is_file():
        raise InvalidModelFileError(
            f"{path} needs its tokenizer: put tokenizer.json into {path.parent}"
        )
    return None
