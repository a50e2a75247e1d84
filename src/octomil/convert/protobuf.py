"""The outermost fields of a protobuf message, without a schema and without reading their values.

https://protobuf.dev/programming-guides/encoding
"""

from enum import IntEnum
from typing import BinaryIO

MAX_FIELDS = 1 << 20
_MAX_VARINT_BYTES = 10
_FIXED = {1: 8, 5: 4}


class WireType(IntEnum):
    """How a field's value is written."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


def top_level_fields(file: BinaryIO, size: int) -> dict[int, WireType] | None:
    """Return the numbers of a message's fields with their wire types.

    Args:
        file: the message, seekable.
        size: bytes; the fields must end exactly there.

    Returns:
        None if it is no message, or an empty one.
    """
    fields: dict[int, WireType] = {}
    file.seek(0)
    position = 0
    for _ in range(MAX_FIELDS):
        if position == size:
            return fields or None
        key = _varint(file)
        if key is None:
            return None
        number, kind = key >> 3, key & 7
        if number == 0 or not _skip(file, kind) or (position := file.tell()) > size:
            return None
        if fields.setdefault(number, WireType(kind)) != kind:
            return None
    return None


def _skip(file: BinaryIO, kind: int) -> bool:
    """Go past a value; tell whether there can be one of that kind."""
    if kind == WireType.VARINT:
        return _varint(file) is not None
    length = _FIXED.get(kind) if kind != WireType.BYTES else _varint(file)
    if length is None:
        return False
    file.seek(length, 1)
    return True


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value if value < 1 << 63 else None
    return None
