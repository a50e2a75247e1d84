"""A fake OpenAI-compatible upstream, cheap enough to vanish from the measurement.

Run it as ``python -m bench.upstream --port P [--pace-ms 5]``. Streams are 64 chunks, each written
on its own turn of the loop, or one per `pace-ms`.
"""

import argparse
import asyncio
import json
from typing import cast

import httptools
import uvloop

CHUNKS = 64

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_COMMON = '"id":"chatcmpl-bench0000","created":1790000000,"model":"bench"'
_USAGE = '"usage":{"prompt_tokens":70,"completion_tokens":64,"total_tokens":134}'


def _answer(payload: str) -> bytes:
    data = payload.encode()
    return _HEAD % (len(data), data)


def _event(payload: str) -> bytes:
    data = f"data: {payload}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk(delta: str, finish: str = "null") -> bytes:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{finish}}}'
    return _event(f'{{{_COMMON},"object":"chat.completion.chunk","choices":[{choice}]}}')


_MESSAGE = '{"role":"assistant","content":"A fixed answer of the fake upstream."}'
_COMPLETION = _answer(
    f'{{{_COMMON},"object":"chat.completion",'
    f'"choices":[{{"index":0,"message":{_MESSAGE},"finish_reason":"stop"}}],{_USAGE}}}'
)
_MODELS = _answer(
    '{"object":"list","data":['
    + ",".join(f'{{"id":"{name}","object":"model"}}' for name in ("bench", "fast", "quality"))
    + "]}"
)
_SSE = [
    _chunk('{"role":"assistant","content":""}'),
    *(_chunk(f'{{"content":" token{number}"}}') for number in range(CHUNKS - 2)),
    _chunk("{}", '"stop"'),
]
_SSE_USAGE = _event(f'{{{_COMMON},"object":"chat.completion.chunk","choices":[],{_USAGE}}}')
_SSE_END = _event("[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.Handle | None = None
        self._path = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport:
                self._transport.close()

    def on_message_begin(self) -> None:
        self._path, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._path == b"/v1/models":
            self._write(_MODELS)
        elif self._path == b"/v1/chat/completions":
            request = json.loads(self._body)
            if request.get("stream"):
                usage = bool((request.get("stream_options") or {}).get("include_usage"))
                self._write(_STREAM_HEAD)
                self._next_chunk(0, usage, asyncio.get_running_loop().time())
            else:
                self._write(_COMPLETION)
        else:
            self._write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)

    def _next_chunk(self, number: int, usage: bool, started_at_s: float) -> None:
        if number == CHUNKS:
            self._write((_SSE_USAGE if usage else b"") + _SSE_END)
            return
        self._write(_SSE[number])
        loop = asyncio.get_running_loop()
        if self._pace_s:
            # On an absolute schedule, so that a late turn does not stretch the stream.
            at_s = started_at_s + (number + 1) * self._pace_s
            self._timer = loop.call_at(at_s, self._next_chunk, number + 1, usage, started_at_s)
        else:
            self._timer = loop.call_soon(self._next_chunk, number + 1, usage, started_at_s)


async def serve(port: int, pace_ms: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(pace_ms / 1000), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace-ms", type=float, default=0)
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.pace_ms))


if __name__ == "__main__":
    main()
