"""Cursors: where the next page of a list begins, as a text that clients pass back. Pure."""

import base64
import binascii
from datetime import UTC, datetime

import msgspec

from octomil.errors import BadRequestError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str | int]).decode


def cursor_of(*place: str | int) -> str:
    """Return the text of a place; the first part names the order it is a place in.

    Example:
        >>> read_cursor(cursor_of("id", "dev_1"), "id", 1)
        ['dev_1']
    """
    return base64.urlsafe_b64encode(_encode(place)).rstrip(b"=").decode()


def read_cursor(text: str | None, order: str, parts: int) -> list[str | int] | None:
    """Return the place that a text stands for; None for none.

    Args:
        text: what the client passed.
        order: that the list is in.
        parts: how many a place in it has.

    Raises:
        BadRequestError: it is no cursor of such a list.
    """
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found, *place = _decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError, UnicodeError):
        raise _bad() from None
    if found != order or len(place) != parts or any("\0" in str(part) for part in place):
        raise _bad()  # a NUL is in no place of ours, and Postgres cannot look for it
    return place


def read_moment(text: str | int) -> datetime:
    """Return the moment that is a part of a cursor.

    Raises:
        BadRequestError: it is none.
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise _bad() from None
    if moment.tzinfo is not UTC:
        raise _bad()
    return moment


def _bad() -> BadRequestError:
    return BadRequestError(
        "the cursor belongs to no list like this one; pass `next_cursor` of the page before, with "
        "the same filters"
    )
