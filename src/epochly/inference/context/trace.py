"""W3C Trace Context: which distributed trace a request belongs to, read and written as headers.

Follows the Recommendation "Trace Context" (level 1) and, where it is wider, the Candidate
Recommendation "Trace Context Level 2" (the random flag, keys of `tracestate` that begin with a
digit). A header that breaks the rules is ignored, never reported: the trace starts anew.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

SAMPLED, RANDOM = 0x01, 0x02
"""Bits of the flags: the caller may have recorded the trace; its id is random."""

MAX_STATE_LENGTH = 512
"""Characters of `tracestate` that are passed on; longer ones lose whole entries."""

_MAX_STATE_MEMBERS = 32
_LONG_MEMBER = 128

_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-"
    r"(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?",
    re.DOTALL,
)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A position in a distributed trace.

    Attributes:
        trace_id: the whole trace's id, 32 lower-case hexadecimal digits, not all zero.
        span_id: this position's id, 16 lower-case hexadecimal digits, not all zero. Whoever is
            called next knows it as its parent.
        flags: `SAMPLED` and `RANDOM`.
        state: what other tracing systems pass along, as `tracestate` has it; may be empty.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @classmethod
    def start(cls, *, sampled: bool = False, random_bytes: RandomBytes = os.urandom) -> Self:
        """Begin a trace of our own."""
        flags = RANDOM | (SAMPLED if sampled else 0)
        return cls(_random_id(16, random_bytes), _random_id(8, random_bytes), flags)

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> Self | None:
        """Read a caller's position; None if `traceparent` is not valid.

        A `tracestate` that is not valid is dropped; the rest is kept. Of a version above 00 only
        what 00 has is read, as the standard asks for.

        Example:
            >>> TraceContext.parse("00-" + "a" * 32 + "-" + "b" * 16 + "-01").is_sampled
            True
        """
        found = _PARENT.fullmatch(traceparent.strip(" \t"))
        if found is None or found["version"] == "ff":
            return None
        if found["version"] == "00" and found["rest"]:
            return None
        if not found["trace"].strip("0") or not found["span"].strip("0"):
            return None
        flags = int(found["flags"], 16) & (SAMPLED | RANDOM)
        return cls(found["trace"], found["span"], flags, parse_state(tracestate))

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Self | None:
        """Read a caller's position from a request's headers; None if there is no valid one.

        Names count in any case. Several `tracestate` headers are joined in their order; several
        `traceparent` headers contradict each other and count as none.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        found: dict[str, list[str]] = {"traceparent": [], "tracestate": []}
        for name, value in pairs:
            if name.lower() in found:
                found[name.lower()].append(value)
        if len(found["traceparent"]) != 1:
            return None
        return cls.parse(found["traceparent"][0], ",".join(found["tracestate"]))

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded this trace."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header's value for a request made from this position."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self, *, random_bytes: RandomBytes = os.urandom) -> Self:
        """Return a new position in the same trace."""
        span_id = _random_id(8, random_bytes)
        return type(self)(self.trace_id, span_id, self.flags, self.state)

    def headers(self) -> dict[str, str]:
        """Return the headers of a request made from this position."""
        headers = {"traceparent": self.traceparent}
        return headers | {"tracestate": self.state} if self.state else headers


def parse_state(text: str) -> str:
    """Return a `tracestate` as it is passed on; empty if it is not valid.

    White space around entries and empty entries go; of several entries of one key the first,
    which is the latest, stays. A list above `MAX_STATE_LENGTH` characters loses the entries of
    more than 128 characters, then the last ones.
    """
    members: dict[str, str] = {}
    listed = [member for part in text.split(",") if (member := part.strip(" \t"))]
    for member in listed:
        if not _MEMBER.fullmatch(member):
            return ""
        members.setdefault(member.partition("=")[0], member)
    return "" if len(listed) > _MAX_STATE_MEMBERS else _shortened(list(members.values()))


def _shortened(members: list[str]) -> str:
    if len(",".join(members)) > MAX_STATE_LENGTH:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > MAX_STATE_LENGTH:
        members.pop()
    return ",".join(members)


def _random_id(size: int, random_bytes: RandomBytes) -> str:
    while not any(drawn := random_bytes(size)):  # an id of zeros is not valid
        pass
    return drawn.hex()
