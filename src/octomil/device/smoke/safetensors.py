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

_NOT_FINITE: Final[Mapping[str, tuple[str, int]]] = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("<u1", 0x7C),
    "F8_E4M3": ("<u1", 0x7F),
}
"""Of each type of floats: how its bits are read, and those that no finite number has all of."""
_LENGTH: Final = struct.Struct("<Q")
_CHUNK_BYTES = 1 << 24


def try_safetensors(path: Path) -> None:
    """Read every tensor.

    Raises:
        FailedTrialError: the file is no safetensors, or a number is infinite or none.
    """
    with path.open("rb") as file:
        if recognise_flat(file, path.stat().st_size) is not Format.SAFETENSORS:
            raise FailedTrialError("it is no file of safetensors, or is cut short")
        file.seek(0)
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                _try_tensor(file, name, tensor, _LENGTH.size + length)


def _try_tensor(file: BinaryIO, name: str, tensor: Mapping[str, Any], base: int) -> None:
    begin, end = tensor["data_offsets"]
    kind, bits = _NOT_FINITE.get(tensor["dtype"], ("<u1", 0))
    size = np.dtype(kind).itemsize
    if bits and end - begin != math.prod(tensor["shape"]) * size:
        raise FailedTrialError(f"tensor {name!r} has not as many bytes as its shape says")
    file.seek(base + begin)
    left = end - begin
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise FailedTrialError(f"tensor {name!r} is cut short")
        left -= len(chunk)
        numbers = np.frombuffer(chunk, kind)
        if bits and bool(((numbers & bits) == bits).any()):
            raise FailedTrialError(f"tensor {name!r} has numbers that are not finite")
