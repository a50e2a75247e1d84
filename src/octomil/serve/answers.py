"""Writing answers straight to the ASGI channel."""

from collections.abc import Sequence

from starlette.types import Send

from octomil.http.sse import encode_event
from octomil.serve.errors import ErrorAnswer
from octomil.serve.observation import Observation

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
EVENTS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


async def send_json(
    send: Send, body: bytes, *, status: int = 200, headers: Sequence[Header] = ()
) -> None:
    """Send a whole JSON answer."""
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]}
    )
    await send({"type": "http.response.body", "body": body})


class ResponseWriter:
    """Writes one answer; the headers wait for its first byte, and may change until then.

    Args:
        send: the ASGI channel to the client.
        request_id: goes out with every answer.

    Attributes:
        headers: what goes out before the answer, besides its type and the request's id.
        started: whether they went out, as those of a stream.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id_header = request_id_header(request_id)
        self.headers: list[Header] = []
        self.started = False

    async def send_whole(self, body: bytes) -> None:
        """Send a whole JSON answer."""
        await send_json(self._send, body, headers=[*self.headers, self._id_header])

    async def start(self) -> None:
        """Send the headers of a stream."""
        self.started = True
        headers = [*EVENTS, *self.headers, self._id_header]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send_block(self, block: bytes, *, is_last: bool = False) -> None:
        """Send events, and the headers before the first of them."""
        if not self.started:
            await self.start()
        await self._send({"type": "http.response.body", "body": block, "more_body": not is_last})

    async def refuse(self, answer: ErrorAnswer) -> None:
        """Tell of an error by status while that is possible, else by a last event."""
        if self.started:
            await self.send_block(encode_event(answer.body), is_last=True)
        else:
            await send_answer(self._send, answer, [*self.headers, self._id_header])


async def send_answer(send: Send, answer: ErrorAnswer, headers: Sequence[Header] = ()) -> None:
    """Send an error."""
    await send_json(send, answer.body, status=answer.status, headers=(*answer.headers, *headers))


def request_id_header(request_id: str) -> Header:
    """Return the header that tells a client what its request is called here."""
    return b"x-request-id", request_id.encode()


def routing_headers(seen: Observation) -> list[Header]:
    """Return the headers that say where a request went."""
    headers = [
        (b"x-octomil-routed-model", _header_text(seen.model)),
        (b"x-octomil-routing-tier", b"%d" % seen.tier),
        (b"x-octomil-routing-latency-us", b"%d" % seen.routing_us),
    ]
    if (seen.dropped or seen.subtasks) and (escalated_from := seen.escalated_from):
        headers.append((b"x-octomil-escalated-from", _header_text(escalated_from)))
    return headers


def _header_text(text: str) -> bytes:
    return text.encode("latin-1", "replace")
