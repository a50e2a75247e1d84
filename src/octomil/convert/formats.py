"""Which kind of model file some bytes are, whatever the file is called.

Nothing is unpickled, and nothing is allocated on a file's word. Sources: the layouts that
safetensors, NumPy (NEP 1), TensorFlow Lite (its FlatBuffers identifier), ONNX and Core ML (their
protobuf schemas), GGUF and torch's `serialization.py` document.
"""

import json
import struct
from collections.abc import Mapping
from enum import StrEnum
from typing import BinaryIO

from octomil.convert.protobuf import WireType, top_level_fields


class Format(StrEnum):
    """What a model file can be; the values are those of the API."""

    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    TFLITE = "tflite"
    COREML = "coreml"
    GGUF = "gguf"
    NUMPY = "numpy"
    PYTORCH = "pytorch"
    TORCHSCRIPT = "torchscript"
    TORCH_EXPORT = "torch_export"


ONNX_DATA = "onnx_data"
"""The weights of an ONNX model in a file of their own: bytes without any form."""

FILE_FORMATS = (*(each.value for each in Format), ONNX_DATA)
"""What a file of a version can be."""

TORCH_FORMATS = frozenset({Format.PYTORCH, Format.TORCHSCRIPT, Format.TORCH_EXPORT})
"""What torch wrote; each of these is what a client means that asks for `pytorch`."""

ZIP = b"PK\x03\x04"
NPY = b"\x93NUMPY"
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""A pickle of torch's magic number, which its files began with before they were archives."""

MAX_HEADER_BYTES = 100_000_000  # as the safetensors library has it
_LENGTH = struct.Struct("<Q")
_TENSOR_KEYS = {"dtype", "shape", "data_offsets"}

_ONNX_FIELDS: Mapping[int, WireType] = {
    1: WireType.VARINT,  # ir_version
    2: WireType.BYTES,  # producer_name
    3: WireType.BYTES,  # producer_version
    4: WireType.BYTES,  # domain
    5: WireType.VARINT,  # model_version
    6: WireType.BYTES,  # doc_string
    7: WireType.BYTES,  # graph
    8: WireType.BYTES,  # opset_import
    14: WireType.BYTES,  # metadata_props
    20: WireType.BYTES,  # training_info
    25: WireType.BYTES,  # functions
    26: WireType.BYTES,  # configuration
}
_ONNX_NEEDED = {1, 7, 8}
_COREML_COMMON = {1: WireType.VARINT, 2: WireType.BYTES, 10: WireType.VARINT}
_COREML_KINDS = range(200, 4000)  # the oneof that says what kind of model it is


def recognise_flat(file: BinaryIO, size: int) -> Format | None:
    """Return the format of a file that is no archive, or None if it is none that is known.

    Args:
        file: open for reading, seekable.
        size: bytes.
    """
    file.seek(0)
    head = file.read(16)
    if head.startswith(b"GGUF"):
        return Format.GGUF
    if head.startswith(NPY):
        return Format.NUMPY
    if head[4:8] == b"TFL3":
        return Format.TFLITE
    if head.startswith(LEGACY_TORCH[:16]):
        return Format.PYTORCH
    if _is_safetensors(file, size, head):
        return Format.SAFETENSORS
    return _protobuf_format(file, size)


def is_archive(file: BinaryIO) -> bool:
    """Tell whether a file is a zip archive."""
    file.seek(0)
    return file.read(len(ZIP)) == ZIP


def archive_format(names: frozenset[str]) -> Format | None:
    """Return what a zip archive with such members is.

    Args:
        names: of all members, with `/` between folders.
    """
    if "Manifest.json" in _below_root(names) and any("com.apple.CoreML/" in n for n in names):
        return Format.COREML
    inner = _below_root(names)
    if "archive_format" in inner or "serialized_exported_program.json" in inner | names:
        return Format.TORCH_EXPORT
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return Format.TORCHSCRIPT
    if "data.pkl" in inner and "version" in inner:
        return Format.PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return Format.NUMPY
    return None


def _below_root(names: frozenset[str]) -> frozenset[str]:
    """Return the names without the one folder that all of them lie in."""
    return frozenset(name.partition("/")[2] for name in names if "/" in name)


def _is_safetensors(file: BinaryIO, size: int, head: bytes) -> bool:
    """Tell whether a header of safetensors covers the file to its last byte."""
    if len(head) < 10 or head[8:9] != b"{":
        return False
    (length,) = _LENGTH.unpack(head[:8])
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        return False
    file.seek(8)
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError):
        return False
    if not isinstance(header, dict):
        return False
    tensors = [each for name, each in header.items() if name != "__metadata__"]
    if not all(isinstance(each, dict) and each.keys() >= _TENSOR_KEYS for each in tensors):
        return False
    return _covers([each["data_offsets"] for each in tensors], size - 8 - length)


def _covers(spans: list[object], size: int) -> bool:
    """Tell whether spans of bytes follow each other from 0 to `size` without a gap."""
    end = 0
    pairs = [
        (span[0], span[1])
        for span in spans
        if isinstance(span, list) and len(span) == 2 and all(type(each) is int for each in span)
    ]
    for begin, stop in sorted(pairs):
        if begin != end or stop < begin:
            return False
        end = stop
    return len(pairs) == len(spans) and end == size


def _protobuf_format(file: BinaryIO, size: int) -> Format | None:
    """Return ONNX or Core ML, told apart by the fields of their outermost messages."""
    fields = top_level_fields(file, size)
    if fields is None:
        return None
    if fields.keys() >= _ONNX_NEEDED and fields.items() <= _ONNX_FIELDS.items():
        return Format.ONNX
    kinds = [number for number in fields if number in _COREML_KINDS]
    common = {number: kind for number, kind in fields.items() if number not in _COREML_KINDS}
    if len(kinds) == 1 and 1 in common and common.items() <= _COREML_COMMON.items():
        return Format.COREML
    return None
