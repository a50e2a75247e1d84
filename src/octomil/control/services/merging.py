"""Adding to what is kept, within bounds: many small additions must not become a large whole."""

import json
from collections.abc import Mapping
from typing import Any, Final

from octomil.errors import PayloadTooLargeError

MAX_CHARS: Final = 256 * 1024
"""So long the JSON text of what has grown may be; lists of a thousand such must fit in memory."""


def merged(what: str, present: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is with more, which wins.

    Args:
        what: its name, for people.
        present: what there is.
        more: what is added or replaced.

    Raises:
        PayloadTooLargeError: the whole is too large.
    """
    whole = {**present, **more}
    chars = len(json.dumps(whole, separators=(",", ":")))
    if chars > MAX_CHARS:
        raise PayloadTooLargeError(
            f"{what} would have {chars:,} characters of JSON, and {MAX_CHARS:,} are taken; keep "
            "what is larger in a file"
        )
    return whole
