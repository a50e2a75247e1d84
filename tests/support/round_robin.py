"""A proxy that gives each request to the next of several servers, whoever sent the one before."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import urlsplit

_OF_A_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class RoundRobin:
    """A running proxy.

    Attributes:
        url: where it is.
        served: how many requests each server answered, by its URL.
    """

    url: str
    served: Counter[str] = field(default_factory=Counter)


@contextmanager
def round_robin(urls: Sequence[str]) -> Iterator[RoundRobin]:
    """Run a proxy in front of servers until the block ends.

    Those that are gone are passed over; where none is left, clients are hung up on. `urls` may
    change meanwhile, so that a server can come back at another port: its own may be taken by then.
    """
    numbers, proxy = count(), RoundRobin("")

    def forwarded(
        method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes] | None:
        known = tuple(urls)
        for _ in known:
            url = known[next(numbers) % len(known)]
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except ConnectionRefusedError:
                continue
            finally:
                connection.close()
            proxy.served[url] += 1
            return answer, content
        return None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_A_HOP}
            found = forwarded(self.command, self.path, headers, body)
            if found is None:
                self.close_connection = True
                return
            answer, content = found
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_A_HOP:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do  # noqa: N815 - the base's

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
