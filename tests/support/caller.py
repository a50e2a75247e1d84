"""A client on a socket of its own, for what no HTTP library would do."""

import json
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any, Self

from support.waiting import PATIENCE_S

CHAT = "/v1/chat/completions"


class Caller:
    """A client which may stall, or leave, at any moment."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(
        self, body: dict[str, Any], path: str = CHAT, headers: Mapping[str, str] | None = None
    ) -> None:
        data = json.dumps(body).encode()
        more = ("Content-Type: application/json", *map(": ".join, (headers or {}).items()))
        self.send(head(path, len(data), *more) + data)

    def response(self) -> HTTPResponse:
        response = HTTPResponse(self.socket)
        response.begin()
        return response

    def has_answer(self) -> bool:
        """Look whether something has come, for a moment."""
        return bool(select.select([self.socket], [], [], 0.01)[0])

    def trickle(self, byte: bytes) -> None:
        """Send a byte from time to time until something comes, which may cross the last one."""
        with suppress(ConnectionError):
            while not self.has_answer():
                self.send(byte)

    def is_hung_up(self) -> bool:
        """Wait for the next thing to happen; tell whether it is the end of the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def head(path: str, length: int, *more: str) -> bytes:
    """The head of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()
