"""Streamed chat over a plain socket, every chunk with its time of arrival."""

import http.client
import json
import socket
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.process import HOST, BenchError


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One streamed answer. `decode_s` is from the first to the last piece of text."""

    ttft_ms: float
    decode_s: float
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens_per_s(self) -> float:
        return (self.completion_tokens - 1) / self.decode_s if self.decode_s else float("nan")

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def timing_of(started_at_s: float, arrivals: list[tuple[float, Any]]) -> Timing:
    """Read the timing of chunks in OpenAI's form.

    Raises:
        BenchError: an error came instead, or no text, or no usage.
    """
    text_at_s: list[float] = []
    usage = None
    for at_s, chunk in arrivals:
        if "error" in chunk:
            raise BenchError(f"the engine answered {chunk['error']}")
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            # A model may have nothing to say: then its end is its first token.
            if choice["delta"].get("content") or (choice["finish_reason"] and not text_at_s):
                text_at_s.append(at_s)
    if not text_at_s or usage is None:
        raise BenchError(f"no text or no usage in {len(arrivals)} chunks")
    return Timing(
        ttft_ms=(text_at_s[0] - started_at_s) * 1000,
        decode_s=text_at_s[-1] - text_at_s[0],
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
    )


class ChatStream:
    """One streamed request on a keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=120)
        self._connection.connect()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def _socket(self) -> socket.socket:
        sock = self._connection.sock
        assert isinstance(sock, socket.socket)
        return sock

    def send(self, body: dict[str, Any]) -> None:
        headers = {"content-type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)

    def read(self, max_events: int | None = None) -> list[tuple[float, str]]:
        """Events up to `max_events` or [DONE], each with when its line was whole."""
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise BenchError(f"a stream answered {answer.status} {answer.read(300)!r}")
        arrivals: list[tuple[float, str]] = []
        while max_events is None or len(arrivals) < max_events:
            line = answer.readline()
            if not line:
                raise BenchError(f"the stream ended after {len(arrivals)} events")
            if line.startswith(b"data: [DONE]"):
                answer.read()
                break
            if line.startswith(b"data: "):
                arrivals.append((time.perf_counter(), line[6:].decode()))
        return arrivals

    def chat(self, body: dict[str, Any]) -> Timing:
        started_at_s = time.perf_counter()
        self.send(body)
        arrivals = [(at_s, json.loads(text)) for at_s, text in self.read()]
        return timing_of(started_at_s, arrivals)

    def cut(self) -> float:
        """Break the connection as a client that went away does; returns when."""
        sock, at_s = self._socket, time.perf_counter()
        sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        return at_s
