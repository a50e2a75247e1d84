"""How large a value is, told without copying it and without reading past a limit."""

from collections.abc import Mapping
from typing import Any

_NUMBER_BYTES = 8
_SLOT_BYTES = 8  # what a list takes for each item; it bounds the work on lists of nothing


def size_in_bytes(value: Any, limit: int) -> int:
    """Return the size of a value, or some number above `limit` as soon as it is above it.

    Text counts as UTF-8, an array or tensor as its elements (`nbytes`), a number as 8 bytes or as
    long as it is, an item of a list or mapping as 8 bytes and its own size. What is contained
    twice counts twice, as it would on the wire.

    Args:
        value: what to measure.
        limit: in bytes; nothing is read once the sum is above it.

    Raises:
        TypeError: a value of a type whose size cannot be told.
    """
    total = 0
    waiting = [value]
    while waiting and total <= limit:
        item = waiting.pop()
        if isinstance(item, Mapping):
            total += 2 * _SLOT_BYTES * len(item)
            if total <= limit:
                waiting += (*item.keys(), *item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            total += _SLOT_BYTES * len(item)
            if total <= limit:
                waiting += item
        else:
            total += _leaf_size(item, limit)
    return total


def _leaf_size(item: Any, limit: int) -> int:
    if item is None or isinstance(item, bool):
        return 1
    if isinstance(item, str):
        # Every character is at least a byte, so what is too long need not be encoded.
        return len(item) if len(item) > limit else len(item.encode("utf-8", "surrogatepass"))
    if isinstance(item, bytes | bytearray):
        return len(item)
    if isinstance(item, int):
        return max(_NUMBER_BYTES, (item.bit_length() + 7) // 8)
    if isinstance(item, float):
        return _NUMBER_BYTES
    if isinstance(item, complex):
        return 2 * _NUMBER_BYTES
    size = getattr(item, "nbytes", None)
    if isinstance(size, int) and size >= 0:
        return size
    raise TypeError(f"the size of a {type(item).__name__} cannot be told")
