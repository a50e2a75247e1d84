"""Trying a file of safetensors: every tensor is read, and every number in it is one.

There is no graph in it that could be run. Numbers are told apart by their bits, so that types which
numpy lacks (bfloat16, float8) are read as well. Format: https://github.com/huggingface/safetensors
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from octomil.convert.formats import Format, recognise_flat
from octomil.device.smoke.trial import FailedTrialError

_LARGEST: Final[Mapping[str, tuple[str, int]]] = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("<u1", 0x7C),
    "F8_E4M3": ("<u1", 0x7E),
}
"""Of each type of floats: how its bits are read, and the largest, sign aside, that are a number."""
_HAS_NO_INFINITY: Final = "F8_E4M3"
_LENGTH: Final = struct.Struct("<Q")
_CHUNK_BYTES = 1 << 24


def try_safetensors(path: Path) -> str:
    """Read every tensor; return what people should know of them, if anything.

    Raises:
        FailedTrialError: the file is no safetensors, or holds a value that is not a number.
    """
    with path.open("rb") as file:
        if recognise_flat(file, path.stat().st_size) is not Format.SAFETENSORS:
            raise FailedTrialError("it is no file of safetensors, or is cut short")
        file.seek(0)
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        base = _LENGTH.size + length
        infinite = [name for name, each in header.items() if _is_infinite(file, name, each, base)]
    return f"infinite values in {', '.join(infinite)}" if infinite else ""


def _is_infinite(file: BinaryIO, name: str, tensor: Mapping[str, Any], base: int) -> bool:
    """Tell whether a tensor has infinite values, which masks have on purpose.

    Raises:
        FailedTrialError: it is cut short, or has values that are not numbers.
    """
    begin, end = tensor["data_offsets"]
    dtype = tensor["dtype"]
    kind, largest = _LARGEST.get(dtype, ("<u1", 0))
    size = np.dtype(kind).itemsize
    if largest and end - begin != math.prod(tensor["shape"]) * size:
        raise FailedTrialError(f"tensor {name!r} has not as many bytes as its shape says")
    file.seek(base + begin)
    left, is_infinite = end - begin, False
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise FailedTrialError(f"tensor {name!r} is cut short")
        left -= len(chunk)
        if largest:
            peak = _peak(chunk, kind)
            if peak > largest:
                raise FailedTrialError(f"tensor {name!r} has values that are not numbers")
            is_infinite |= peak == largest and dtype != _HAS_NO_INFINITY
    return is_infinite


def _peak(chunk: bytes, kind: str) -> int:
    """Return the largest of some floats, sign aside, as its bits: these are in the same order."""
    bits = np.frombuffer(chunk, kind)
    return int((bits & (np.iinfo(bits.dtype).max >> 1)).max())
