"""A small real server that speaks the control plane's inference calls, and misbehaves on demand.

It runs on a socket of its own, in a thread of its own. Requests take the next answer that was
scripted, else a well-behaved one that says the words of the last message.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from octomil.asgi.server import listen
from support.waiting import PATIENCE_S

HEARTBEAT = b": still here\n\n"
SESSION = "ses_1"
REQUEST_ID = "req-1"

Body = dict[str, Any]
Answering = Callable[[Body], Response]


class Hold:
    """Where answers wait, until the test lets them pass or their client leaves."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._opened: list[Callable[[], None]] = []
        self._waiting = self._left = 0
        self._is_open = False

    async def passed(self) -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._changed:
            if self._is_open:
                return
            self._opened.append(lambda: loop.call_soon_threadsafe(event.set))
            self._waiting += 1
            self._changed.notify_all()
        try:
            await event.wait()
        except asyncio.CancelledError:
            with self._changed:
                self._left += 1
                self._changed.notify_all()
            raise

    def open(self) -> None:
        """Let everything pass, from now on."""
        with self._changed:
            self._is_open = True
            for let_go in self._opened:
                let_go()

    def await_waiting(self, count: int = 1) -> None:
        """Return once `count` answers have come here."""
        self._await(lambda: self._waiting >= count)

    def await_left(self, count: int = 1) -> None:
        """Return once the clients of `count` answers have left while they waited here."""
        self._await(lambda: self._left >= count)

    def _await(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_S), "waited in vain"


def token(text: str, **more: Any) -> bytes:
    """The event of a token."""
    said = {"token": text, "done": False, "provider": "ollama", "latency_ms": 1.5}
    return b"data: " + json.dumps({**said, "session_id": SESSION, **more}).encode() + b"\n\n"


def done(count: int) -> bytes:
    """The event of the last token."""
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
    return token("", done=True, finish_reason="stop", usage=usage)


def words(text: str) -> list[bytes]:
    """A whole, well-behaved stream that says `text` word by word."""
    pieces = text.split()
    said = [token(f" {piece}" if at else piece) for at, piece in enumerate(pieces)]
    return [*said, done(len(pieces))]


def problem_body(code: str, status: int, message: str, **details: Any) -> Body:
    return {"error": code, "message": message, "status_code": status, "request_id": REQUEST_ID,
            "details": details}  # fmt: skip


def error_event(code: str, status: int, message: str) -> bytes:
    body = json.dumps(problem_body(code, status, message)).encode()
    return b"event: error\ndata: " + body + b"\n\n"


def streaming(*pieces: bytes | Hold, kind: str = "text/event-stream") -> Answering:
    """Answer with these pieces, each sent by itself."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Hold):
                await piece.passed()
            else:
                yield piece

    headers = {"Cache-Control": "no-store", "X-Request-Id": REQUEST_ID}
    return lambda _: StreamingResponse(body(), media_type=kind, headers=headers)


def heartbeats_for_ever(*first: bytes) -> Answering:
    """Answer with some pieces, then with nothing but heartbeats."""

    async def body() -> AsyncIterator[bytes]:
        for piece in first:
            yield piece
        while True:
            yield HEARTBEAT
            await asyncio.sleep(0.01)

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def refusing(code: str, status: int, message: str = "no", **headers: str) -> Answering:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: JSONResponse(problem_body(code, status, message), status, named)


def plainly(body: bytes, kind: str = "application/json", status: int = 200) -> Answering:
    return lambda _: Response(body, status, media_type=kind)


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: Body


@dataclass
class InferenceServer:
    """The running server; tests script it and read what it has seen."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    next: deque[Answering] = field(default_factory=deque)

    def script(self, *answers: Answering) -> None:
        """Give the next requests these answers, in order."""
        self.next.extend(answers)

    def forget(self) -> None:
        """Go back to good behaviour, with nothing seen."""
        self.seen.clear()
        self.next.clear()

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(Seen(request.url.path, dict(request.headers), body))
        if self.next:
            return self.next.popleft()(body)
        return _GOOD[request.url.path](body)


def _said(body: Body) -> str:
    return body["input_data"] if "input_data" in body else body["messages"][-1]["content"]


def _whole(body: Body) -> Response:
    count = len(_said(body).split())
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
    return JSONResponse({
        "output": _said(body), "latency_ms": 2.5, "provider": "ollama", "usage": usage,
        "model_id": body["model_id"], "finish_reason": "stop", "session_id": SESSION,
    })  # fmt: skip


def _embeddings(body: Body) -> Response:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    rows = [
        {"object": "embedding", "index": at, "embedding": [float(len(text)), 1.0]}
        for at, text in enumerate(texts)
    ]
    count = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return JSONResponse({"data": rows, "model": body["model_id"], "usage": usage})


_GOOD: dict[str, Answering] = {
    "/api/v1/inference": _whole,
    "/api/v1/inference/stream": lambda body: streaming(*words(_said(body)))(body),
    "/api/v1/embeddings": _embeddings,
}


@contextmanager
def inference_server(certificate: Path | None = None) -> Iterator[InferenceServer]:
    """Run the server until the block ends, over TLS if there is a certificate with its key."""
    running = InferenceServer()
    app = Starlette(routes=[Route(path, running.answer, methods=["POST"]) for path in _GOOD])
    listening = listen("127.0.0.1", 0)
    scheme = "http" if certificate is None else "https"
    running.url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, ws="none", lifespan="off",
            ssl_certfile=certificate,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE_S)
        listening.close()
