"""A real HTTP server that gives the answers it was told to, in order, and remembers who asked."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a request is answered with; `body` that is no bytes is sent as JSON.

    `cut` bytes of the body are sent, then the connection ends.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """The running server; the last answer is given again and again."""

    url: str = ""
    answers: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    def next(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


def problem(code: str, status: int, **more: Any) -> Answer:
    """An error as the control plane tells of it."""
    headers = more.pop("headers", {})
    message = more.pop("message", f"{code} it is")
    body = {"error": code, "message": message, "status_code": status, "request_id": "req-1"}
    return Answer({**body, "details": more}, status, headers)


@contextmanager
def scripted(*answers: Answer) -> Iterator[Script]:
    """Run a server that answers with these."""
    script = Script(answers=deque(answers))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            script.asked.append(Asked(self.command, self.path, headers, body))
            answer = script.next()
            data = (
                answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            )
            self.send_response(answer.status)
            for name, value in {
                "Content-Type": "application/json", "Content-Length": str(len(data)),
                **answer.headers,
            }.items():  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: answer.cut])
            self.close_connection = answer.cut is not None

        def log_message(self, *args: object) -> None:
            pass

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler._answer)
    return Handler
