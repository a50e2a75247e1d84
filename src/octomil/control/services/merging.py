"""Bounds of what is kept as JSON: many small additions must not become a large whole, either."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from octomil.errors import PayloadTooLargeError

MAX_CHARS: Final = 256 * 1024
"""So long the JSON text of a value may be; lists of a thousand such must fit in memory."""

ValueT = TypeVar("ValueT")


def merged(what: str, present: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is with more, which wins.

    Args:
        what: its name, for people.
        present: what there is.
        more: what is added or replaced.

    Raises:
        PayloadTooLargeError: the whole is too large.
    """
    return bounded(what, {**present, **more})


def bounded(what: str, value: ValueT) -> ValueT:
    """Return a value that is not too large to be kept.

    Args:
        what: its name, for people.
        value: made of what JSON has.

    Raises:
        PayloadTooLargeError: it is too large.
    """
    chars = len(json.dumps(value, separators=(",", ":")))
    if chars > MAX_CHARS:
        raise PayloadTooLargeError(
            f"{what} would have {chars:,} characters of JSON, and {MAX_CHARS:,} are taken; keep "
            "what is larger in a file"
        )
    return value
