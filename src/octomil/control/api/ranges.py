"""The parts of a content that a client may ask for, and its word that it has it already.

RFC 9110, sections 13 and 14. Of several parts at once, all is sent instead, as the standard allows.
"""

import re

from octomil.errors import RangeNotSatisfiableError

_ONE_RANGE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII | re.IGNORECASE)
_MAX_DIGITS = 18


def span_of(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last that a `Range` header asks for.

    Args:
        header: its value, if there is one.
        size: bytes of the whole.

    Returns:
        None if the whole is to be sent.

    Raises:
        RangeNotSatisfiableError: it lies outside of the whole.

    Example:
        >>> span_of("bytes=2-", 10), span_of("bytes=-3", 10), span_of("bytes=0-1,4-5", 10)
        ((2, 10), (7, 10), None)
    """
    found = _ONE_RANGE.fullmatch(header or "")
    if found is None or max(map(len, found.groups())) > _MAX_DIGITS:
        return None
    first, last = found.groups()
    if not (first or last):
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None  # no valid range at all, and to be ignored
    if start >= end:
        raise RangeNotSatisfiableError(
            f"{header!r} lies outside of the {size} bytes", {"size_bytes": size}
        )
    return start, end


def has_tag(header: str | None, tag: str) -> bool:
    """Tell whether an `If-None-Match` or `If-Range` header names an entity tag.

    Example:
        >>> has_tag('W/"a", "b"', '"a"'), has_tag("*", '"a"'), has_tag(None, '"a"')
        (True, True, False)
    """
    if header is None:
        return False
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in named or named == ["*"]
