"""A receiver of webhooks: a small real server, in a thread, or as a process that prints."""

import json
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """A message, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What a receiver got, and the statuses that it answers with next; 200 once there are none."""

    url: str
    received: list[Received] = field(default_factory=list)
    statuses: deque[int] = field(default_factory=deque)

    def events(self) -> list[tuple[str, str | None]]:
        """The types of the events, each with the version it tells of."""
        told = [message.event for message in self.received]
        return [(event["type"], event["data"].get("version")) for event in told]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver in a thread until the block ends."""
    receiver = Receiver("")

    def answer(message: Received) -> int:
        receiver.received.append(message)
        return receiver.statuses.popleft() if receiver.statuses else 200

    server = _server(answer)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?a=b"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(answer: Any) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = answer(Received(self.path, headers, body))
            self.send_response(status)
            if status in range(300, 400):
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    return _Server(("127.0.0.1", 0), Handler)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # of five, the default, the rest would be turned away


def main() -> None:
    """Print the port, and then each message's headers and body as a line of JSON."""

    def answer(message: Received) -> int:
        line = json.dumps({"headers": dict(message.headers), "body": message.body.decode()})
        print(line, flush=True)
        return 200

    server = _server(answer)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
