"""Headers that answers have whatever their route says: how to treat them, and what is left."""

import math
from collections.abc import Iterator, Sequence

from octomil.control.gcra import Decision

_Header = tuple[bytes, bytes]

SAFE: Sequence[_Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""After OWASP's REST security cheat sheet; a route that sets one itself keeps its own."""

HSTS: _Header = (b"strict-transport-security", b"max-age=31536000")


def safe_headers(given: Sequence[_Header], scheme: str) -> Iterator[_Header]:
    """Yield those of the safe headers that an answer lacks.

    Args:
        given: the answer's.
        scheme: `https`, where clients may be told to stay with it.
    """
    names = {name for name, _ in given}
    for header in SAFE:
        if header[0] not in names:
            yield header
    if scheme == "https":
        yield HSTS


def rate_limit_headers(decision: Decision) -> Iterator[_Header]:
    """Yield what tells a client how much of its limit is left.

    After draft-ietf-httpapi-ratelimit-headers-07, which is what clients read.
    """
    yield b"ratelimit-limit", str(decision.limit.requests).encode()
    yield b"ratelimit-remaining", str(decision.remaining).encode()
    yield b"ratelimit-reset", str(math.ceil(decision.reset_s)).encode()
