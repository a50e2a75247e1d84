"""Writing answers straight to the ASGI channel."""

from collections.abc import Sequence

from starlette.types import Send

from octomil.serve.errors import ErrorAnswer

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


async def send_answer(send: Send, answer: ErrorAnswer, headers: Sequence[Header] = ()) -> None:
    """Send an error."""
    await send_json(send, answer.body, status=answer.status, headers=(*answer.headers, *headers))
