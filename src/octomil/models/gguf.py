"""Reads the header of a GGUF file: what the model is, and how much memory it will take.

The file is foreign: every length is checked against its size before use, and nothing is allocated
on a file's word. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octomil.errors import InvalidModelFileError

MAGIC = b"GGUF"

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING, _ARRAY = 8, 9
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_MAX_KEYS, _MAX_TENSORS, _MAX_TEXT_BYTES = 1 << 16, 1 << 20, 1 << 20

# Tensor types that llama.cpp's CPU backend copies into an interleaved layout at load, with the
# bytes and weights of one block: Q4_0, Q4_K, IQ4_NL. The copy is anonymous memory on top of the
# mapped file.
_REPACKED_BLOCKS = {2: (18, 32), 12: (144, 256), 20: (18, 32)}


@dataclass(frozen=True, kw_only=True)
class GgufMetadata:
    """What a GGUF header says; None where it says nothing.

    Attributes:
        parameter_count: as stated, else the elements of all tensors.
        context_length: tokens the model was trained for.
        head_count_kv: key-value heads (the largest of all layers where they differ).
        key_length: width of one key head; `value_length` likewise.
        is_embedding: the model pools its output into one vector.
        repacked_bytes: weights that llama.cpp copies into memory when it loads them on a CPU.
    """

    architecture: str
    name: str | None = None
    parameter_count: int | None = None
    context_length: int | None = None
    block_count: int | None = None
    head_count: int | None = None
    head_count_kv: int | None = None
    embedding_length: int | None = None
    key_length: int | None = None
    value_length: int | None = None
    vocabulary_size: int | None = None
    chat_template: str | None = None
    is_embedding: bool = False
    repacked_bytes: int = 0

    @property
    def has_chat_template(self) -> bool:
        """Whether the file says how a conversation is written down."""
        return self.chat_template is not None


def read_metadata(path: Path) -> GgufMetadata:
    """Read the header of the GGUF file at `path`.

    Raises:
        InvalidModelFileError: the file is no GGUF file, is cut short, or lies about its lengths.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise InvalidModelFileError(f"{path} is not a GGUF file (wrong first bytes)")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                return _Reader(buffer).metadata()
    except (struct.error, OverflowError, _MalformedError) as error:
        raise InvalidModelFileError(
            f"{path} is damaged or cut short: {error}; delete it and fetch it again"
        ) from error
    except OSError as error:
        raise InvalidModelFileError(f"cannot read {path}: {error.strerror or error}") from error


class _MalformedError(Exception):
    """The header contradicts itself or the size of the file."""


class _Reader:
    """A cursor over the mapped file. Reading past the end raises `struct.error` by itself."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self._buffer = buffer
        self._size = len(buffer)
        self._at = len(MAGIC)

    def metadata(self) -> GgufMetadata:
        version = self._unpack(_U32)
        if version not in {2, 3}:
            raise _MalformedError(f"unknown GGUF version {version}")
        tensor_count, key_count = self._unpack(_U64), self._unpack(_U64)
        if key_count > _MAX_KEYS or tensor_count > _MAX_TENSORS:
            raise _MalformedError(f"{key_count} keys and {tensor_count} tensors are implausible")
        values: dict[str, Any] = {}
        for _ in range(key_count):
            key = self._text()
            values[key] = self._value(self._unpack(_U32))
        elements, repacked = self._tensors(tensor_count)
        return _interpret(values, elements, repacked)

    def _unpack(self, layout: struct.Struct) -> Any:
        (value,) = layout.unpack_from(self._buffer, self._at)
        self._at += layout.size
        return value

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > self._size:
            raise _MalformedError(f"a length of {length} bytes runs past the end")
        taken = self._buffer[self._at : end]
        self._at = end
        return taken

    def _text(self) -> str:
        length = self._unpack(_U64)
        if length > _MAX_TEXT_BYTES:
            raise _MalformedError(f"a text of {length} bytes is implausible")
        return self._take(length).decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        return self._unpack(_scalar(kind))

    def _array(self) -> Any:
        kind, count = self._unpack(_U32), self._unpack(_U64)
        if kind == _STRING:
            self._skip_texts(count)
            return count
        layout = _scalar(kind)
        start = self._at
        self._at += count * layout.size
        if self._at > self._size:
            raise _MalformedError(f"an array of {count} items runs past the end")
        # Some architectures give one head count per layer; the memory bound needs the largest.
        if layout.format.endswith(("I", "i")) and count <= 1024:
            items = struct.unpack_from(f"<{count}{layout.format[-1]}", self._buffer, start)
            return max(items, default=0)
        return count

    def _skip_texts(self, count: int) -> None:
        """Step over `count` strings; a vocabulary has 300,000 of them, hence the bare loop."""
        at, buffer, unpack, width = self._at, self._buffer, _U64.unpack_from, _U64.size
        for _ in range(count):
            at += unpack(buffer, at)[0] + width
        self._at = at
        if at > self._size:
            raise _MalformedError("the last text of an array runs past the end")

    def _tensors(self, count: int) -> tuple[int, int]:
        """Elements of all tensors, and the bytes of those that are repacked at load."""
        elements = repacked = 0
        for _ in range(count):
            name = self._text()
            dimensions = self._unpack(_U32)
            if dimensions > 8:
                raise _MalformedError(f"a tensor of {dimensions} dimensions is implausible")
            size = 1
            for _ in range(dimensions):
                size *= self._unpack(_U64)
            kind = self._unpack(_U32)
            offset = self._unpack(_U64)
            if offset > self._size:
                raise _MalformedError(f"tensor {name!r} lies past the end")
            elements += size
            # The embedding table is looked up row by row, so it stays as it lies in the file.
            if kind in _REPACKED_BLOCKS and dimensions == 2 and name != "token_embd.weight":
                block_bytes, block_weights = _REPACKED_BLOCKS[kind]
                repacked += size // block_weights * block_bytes
        return elements, min(repacked, self._size)


def _scalar(kind: int) -> struct.Struct:
    try:
        return _SCALARS[kind]
    except KeyError:
        raise _MalformedError(f"unknown value type {kind}") from None


def _interpret(values: Mapping[str, Any], elements: int, repacked: int) -> GgufMetadata:
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str):
        raise _MalformedError("it names no architecture")

    def number(key: str) -> int | None:
        value = values.get(key)
        return value if isinstance(value, int) and value > 0 else None

    def text(key: str) -> str | None:
        value = values.get(key)
        return value if isinstance(value, str) else None

    head_count = number(f"{architecture}.attention.head_count")
    width = number(f"{architecture}.embedding_length")
    head_width = width // head_count if width and head_count else None
    pooling = values.get(f"{architecture}.pooling_type")
    return GgufMetadata(
        architecture=architecture,
        name=text("general.name"),
        parameter_count=number("general.parameter_count") or elements or None,
        context_length=number(f"{architecture}.context_length"),
        block_count=number(f"{architecture}.block_count"),
        head_count=head_count,
        head_count_kv=number(f"{architecture}.attention.head_count_kv") or head_count,
        embedding_length=width,
        key_length=number(f"{architecture}.attention.key_length") or head_width,
        value_length=number(f"{architecture}.attention.value_length") or head_width,
        vocabulary_size=number("tokenizer.ggml.tokens"),
        chat_template=text("tokenizer.chat_template"),
        is_embedding=isinstance(pooling, int) and pooling > 0,
        repacked_bytes=repacked,
    )


_MIB = 1 << 20
# Measured on llama.cpp's CPU backend with batches of 128 tokens: graph buffers and logits.
_COMPUTE_BYTES = 32 * _MIB
# A Python interpreter with the engine's library loaded and nothing else.
_PROCESS_BYTES = 48 * _MIB
_F16_BYTES = 2


def estimate_memory_bytes(
    metadata: GgufMetadata, *, file_size_bytes: int, context_tokens: int
) -> int:
    """Resident bytes of a CPU worker that runs the model, weights fully touched.

    The sum of the mapped file, the weights that the CPU backend repacks, the key-value cache in
    f16, graph buffers and the process itself. Sliding windows are not subtracted. Against the
    resident size of a worker with xllamacpp 2026.10, batches of 128 tokens, one thread:

    | model | context x slots | measured MiB | estimated MiB |
    |---|---|---|---|
    | SmolLM2 135M Q4_1 | 512 x 1, 2048 x 4 | 166, 336 | 185, 353 |
    | Gemma 3 270M Q4_K_M | 512 x 1, 2048 x 4 | 366, 438 | 343, 478 |
    | Qwen2.5 1.5B Q4_K_M | 256 x 2 | 1789 | 1756 |

    Args:
        metadata: from :func:`read_metadata`.
        file_size_bytes: size of the GGUF file.
        context_tokens: tokens of all slots together (per-slot context times slots).
    """
    per_token = (
        (metadata.block_count or 0)
        * (metadata.head_count_kv or 0)
        * ((metadata.key_length or 0) + (metadata.value_length or 0))
        * _F16_BYTES
    )
    cache = 0 if metadata.is_embedding else per_token * context_tokens
    return file_size_bytes + metadata.repacked_bytes + cache + _COMPUTE_BYTES + _PROCESS_BYTES
