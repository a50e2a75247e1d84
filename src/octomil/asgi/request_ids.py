"""What a request is called by its client, by us, and in every log."""

import re

from starlette.types import Scope

from octomil.asgi.headers import headers_of

_SENT = re.compile(rb"[!-~]{1,128}")


def sent_id(scope: Scope) -> str:
    """Return the id a request brings in `x-request-id`; empty if that is none.

    An id has 1 to 128 printable ASCII characters without spaces, so that it can forge no line of a
    log.
    """
    sent = headers_of(scope).get(b"x-request-id", b"")
    return sent.decode() if _SENT.fullmatch(sent) else ""
