"""Server-sent events as this project relays and reads them: whole events, as bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from octomil.errors import GenerationError

DONE = b"data: [DONE]\n\n"
"""The event that ends an OpenAI-style stream."""

MAX_EVENT_BYTES = 16 * 2**20

_ENDS = (b"\n\n", b"\r\n\r\n")


class SseFramer:
    r"""Cut a byte stream at event boundaries, whatever the chunks it arrives in.

    Args:
        max_event_bytes: how much is kept of an event that has not ended yet.

    Example:
        >>> framer = SseFramer()
        >>> framer.feed(b"data: 1\n\ndata:"), framer.feed(b" 2\n\n")
        (b'data: 1\n\n', b'data: 2\n\n')
    """

    __slots__ = ("_max_event_bytes", "_rest")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the complete events so far, possibly none; keep the rest for later.

        Raises:
            GenerationError: the rest is an event that does not come to its end.
        """
        if self._rest:
            chunk = self._rest + chunk
            self._rest = b""
        if chunk.endswith(b"\n\n"):  # the usual case: a server writes whole events
            return chunk
        ends = [at + len(end) for end in _ENDS if (at := chunk.rfind(end)) >= 0]
        cut = max(ends, default=0)
        if len(chunk) - cut > self._max_event_bytes:
            raise GenerationError(
                f"the server sent more than {self._max_event_bytes:,} bytes without ending an event"
            )
        self._rest = chunk[cut:]
        return chunk[:cut]

    @property
    def rest(self) -> bytes:
        """What came after the last complete event; not empty at the end means a cut-off stream."""
        return self._rest


def event_data(events: bytes) -> Iterator[bytes]:
    r"""Yield the data of each event; comments and other fields are left out.

    Example:
        >>> list(event_data(b": ping\n\ndata: a\ndata: b\n\n"))
        [b'a\nb']
    """
    for event in events.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [
            line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")
        ]
        if lines:
            yield b"\n".join(lines)


@dataclass(frozen=True, slots=True)
class Event:
    """An event, with the name that its server gave it.

    Attributes:
        name: such as `error`; `message` where it has none.
    """

    name: str
    data: bytes


def read_events(events: bytes) -> Iterator[Event]:
    r"""Yield whole events that carry data; comments are left out.

    Example:
        >>> list(read_events(b": ping\n\nevent: error\ndata: {}\n\n"))
        [Event(name='error', data=b'{}')]
    """
    for event in events.replace(b"\r\n", b"\n").split(b"\n\n"):
        for data in event_data(event):
            names = [line[6:] for line in event.split(b"\n") if line.startswith(b"event:")]
            name = names[-1].strip().decode("utf-8", "replace") if names else "message"
            yield Event(name, data)


def encode_event(data: bytes) -> bytes:
    """Return one event that carries `data`, line by line."""
    return b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"
