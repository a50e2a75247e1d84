"""What every HTTP client towards an engine's server promises, checked on each of them.

The server is a socket that says exactly the bytes a test gives it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from epochly.inference.context import RequestContext, TraceContext, bound
from epochly.inference.context.trace import SAMPLED
from octomil.engines.aiohttp_client import AiohttpUpstream
from octomil.engines.plain_http import PlainHttpUpstream
from octomil.engines.upstream import Reply, Upstream, open_upstream
from octomil.errors import ConfigurationError, EngineUnavailableError, GenerationError

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

CLIENTS: dict[str, Callable[..., Upstream]] = {
    "plain_http": PlainHttpUpstream,
    "aiohttp": AiohttpUpstream,
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def make(request: pytest.FixtureRequest) -> Callable[..., Upstream]:
    return request.param


@dataclass
class Script:
    """What the server does: one entry per request, each a list of pieces to write.

    `None` as a piece closes the connection; an event is waited for.
    """

    answers: list[list[bytes | asyncio.Event | None]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""


@asynccontextmanager
async def scripted(*answers: list[bytes | asyncio.Event | None]) -> AsyncIterator[Script]:
    script = Script(list(answers))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                script.requests.append(head + await reader.readexactly(length))
                for piece in script.answers.pop(0):
                    if piece is None:
                        return
                    if isinstance(piece, asyncio.Event):
                        await piece.wait()
                    else:
                        writer.write(piece)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            script.hung_up.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    script.url = f"http://{host}:{port}/v1"
    async with server:
        yield script


@asynccontextmanager
async def opened(make: Callable[..., Upstream], url: str, **more) -> AsyncIterator[Upstream]:
    upstream = make(url, **more)
    try:
        yield upstream
    finally:
        await upstream.close()


async def read(upstream: Upstream) -> list[bytes | Reply]:
    return [piece async for piece in upstream.stream("/chat", b"{}")]


async def test_sends_method_path_key_and_body(make: Callable[..., Upstream]) -> None:
    async with scripted([JSON]) as script, opened(make, script.url, api_key="secret") as upstream:
        reply = await upstream.request("POST", "/chat/completions", b'{"a": 1}')

    (sent,) = script.requests
    assert sent.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: bearer secret\r\n" in sent.lower()
    assert b"content-type: application/json\r\n" in sent.lower()
    assert sent.endswith(b'\r\n\r\n{"a": 1}')
    assert reply == Reply(200, b"{}", None)


async def test_carries_the_trace_of_the_request_it_is_sent_for(
    make: Callable[..., Upstream],
) -> None:
    trace = TraceContext("a" * 32, "b" * 16, SAMPLED, "acme=1")
    request = RequestContext.at(trace, request_id="r-1")

    async with scripted([JSON], [JSON], [JSON]) as script, opened(make, script.url) as upstream:
        with bound(request):
            await upstream.request("POST", "/x", b"{}")
            await read(upstream)
        await upstream.request("POST", "/x", b"{}")

    *traced, untraced = [sent.lower() for sent in script.requests]
    for sent in traced:
        assert f"\r\ntraceparent: {trace.traceparent}\r\n".encode() in sent
        assert b"\r\ntracestate: acme=1\r\n" in sent
    assert b"trace" not in untraced


async def test_keeps_the_connection_for_the_next_request(make: Callable[..., Upstream]) -> None:
    async with scripted([JSON], [JSON], [JSON]) as script, opened(make, script.url) as upstream:
        for _ in range(3):
            await upstream.request("POST", "/x", b"{}")

        assert script.connections == 1


async def test_a_connection_closed_meanwhile_costs_one_more_try(
    make: Callable[..., Upstream],
) -> None:
    async with scripted([JSON, None], [JSON]) as script, opened(make, script.url) as upstream:
        await upstream.request("POST", "/x", b"{}")

        assert (await upstream.request("POST", "/x", b"{}")).status == 200
        assert script.connections == 2


async def test_an_answer_that_had_begun_is_not_asked_for_again(
    make: Callable[..., Upstream],
) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-"

    async with scripted([JSON], [begun, None], [JSON]) as script, opened(make, script.url) as up:
        await up.request("POST", "/x", b"{}")

        with pytest.raises(GenerationError, match="broke"):
            await up.request("POST", "/x", b"{}")
        assert len(script.requests) == 2


async def test_a_connection_kept_for_too_long_is_not_used_again() -> None:
    async with (
        scripted([JSON], [JSON]) as script,
        opened(PlainHttpUpstream, script.url, idle_s=0) as upstream,
    ):
        for _ in range(2):
            await upstream.request("POST", "/x", b"{}")

        assert script.connections == 2


async def test_a_server_that_hangs_up_without_an_answer_is_a_fault(
    make: Callable[..., Upstream],
) -> None:
    async with scripted([None], [None]) as script, opened(make, script.url) as upstream:
        with pytest.raises(GenerationError, match="broke"):
            await upstream.request("POST", "/x", b"{}")


async def test_streams_pieces_as_they_come(make: Callable[..., Upstream]) -> None:
    gate = asyncio.Event()
    first, second = b"5\r\nfirst\r\n", b"6\r\nsecond\r\n0\r\n\r\n"

    async with (
        scripted([CHUNKED, first, gate, second]) as script,
        opened(make, script.url) as upstream,
    ):
        stream = upstream.stream("/chat", b"{}")
        assert await anext(stream) == b"first"
        gate.set()
        assert [piece async for piece in stream] == [b"second"]


async def test_a_refused_stream_is_one_whole_reply(make: Callable[..., Upstream]) -> None:
    refusal = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"

    async with scripted([refusal]) as script, opened(make, script.url) as upstream:
        assert await read(upstream) == [Reply(429, b"busy", 7.0)]


async def test_closing_a_stream_hangs_up_on_the_server(make: Callable[..., Upstream]) -> None:
    never = asyncio.Event()

    async with (
        scripted([CHUNKED, b"5\r\nfirst\r\n", never], [JSON]) as script,
        opened(make, script.url) as upstream,
    ):
        stream = upstream.stream("/chat", b"{}")
        await anext(stream)
        await stream.aclose()
        never.set()

        async with asyncio.timeout(120):
            await script.hung_up.wait()
        assert (await upstream.request("POST", "/x", b"{}")).status == 200


async def test_cancelling_a_request_hangs_up_on_the_server(make: Callable[..., Upstream]) -> None:
    never = asyncio.Event()

    async with scripted([never]) as script, opened(make, script.url) as upstream:
        task = asyncio.create_task(upstream.request("POST", "/x", b"{}"))
        async with asyncio.timeout(120):
            while not script.requests:
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        never.set()

        async with asyncio.timeout(120):
            await script.hung_up.wait()


async def test_a_stream_cut_off_in_a_chunk_is_a_fault(make: Callable[..., Upstream]) -> None:
    async with (
        scripted([CHUNKED, b"5\r\nfirst\r\n", b"ff\r\nsec", None]) as script,
        opened(make, script.url) as upstream,
    ):
        with pytest.raises(GenerationError, match="broke"):
            await read(upstream)


async def test_a_body_without_a_length_ends_with_its_connection(
    make: Callable[..., Upstream],
) -> None:
    async with (
        scripted([b"HTTP/1.1 200 OK\r\n\r\nall of ", b"it", None]) as script,
        opened(make, script.url) as upstream,
    ):
        pieces = await read(upstream)

    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == b"all of it"


async def test_what_is_no_http_is_a_fault(make: Callable[..., Upstream]) -> None:
    async with (
        scripted([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], [b"SSH-2.0\r\n\r\n"]) as script,
        opened(make, script.url) as upstream,
    ):
        with pytest.raises(GenerationError, match="broke"):
            await upstream.request("POST", "/x", b"{}")


async def test_silence_longer_than_allowed_is_a_fault(make: Callable[..., Upstream]) -> None:
    never = asyncio.Event()

    async with (
        scripted([CHUNKED, b"5\r\nfirst\r\n", never]) as script,
        opened(make, script.url, read_timeout_s=0.05) as upstream,
    ):
        with pytest.raises(GenerationError, match="nothing in time"):
            await read(upstream)
        never.set()


async def test_silence_in_a_later_request_on_a_kept_connection_is_a_fault(
    make: Callable[..., Upstream],
) -> None:
    never = asyncio.Event()

    async with (
        scripted([JSON], [JSON], [CHUNKED, b"5\r\nfirst\r\n", never]) as script,
        opened(make, script.url, read_timeout_s=5) as upstream,  # both answers come within it
    ):
        for _ in range(2):
            assert await upstream.request("POST", "/x", b"{}") == Reply(200, b"{}")
        with pytest.raises(GenerationError, match="nothing in time"):
            await read(upstream)
        never.set()

    assert script.connections == 1


async def test_no_server_is_unavailable(make: Callable[..., Upstream]) -> None:
    async with scripted() as script:
        url = script.url

    async with opened(make, url) as upstream:
        with pytest.raises(EngineUnavailableError, match="cannot connect"):
            await upstream.request("GET", "/x")


async def test_a_slow_reader_does_not_fill_the_memory(make: Callable[..., Upstream]) -> None:
    size = 4 * 1024 * 1024
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()

    async with scripted([head, bytes(size)]) as script, opened(make, script.url) as upstream:
        total = largest = 0
        async for piece in upstream.stream("/chat", b"{}"):
            assert isinstance(piece, bytes)
            largest, total = max(largest, len(piece)), total + len(piece)
            for _ in range(5):
                await asyncio.sleep(0)

    assert total == size
    assert largest < 1024 * 1024


async def test_many_requests_at_once_get_their_own_answers(make: Callable[..., Upstream]) -> None:
    answers = [[JSON] for _ in range(32)]

    async with scripted(*answers) as script, opened(make, script.url) as upstream:
        replies = await asyncio.gather(
            *(upstream.request("POST", "/x", str(i).encode()) for i in range(32))
        )

    assert all(reply.body == b"{}" for reply in replies)
    assert {request.rpartition(b"\r\n")[2] for request in script.requests} == {
        str(i).encode() for i in range(32)
    }


def test_an_address_that_is_no_url_is_refused(make: Callable[..., Upstream]) -> None:
    with pytest.raises(ConfigurationError, match="ftp://models"):
        make("ftp://models")


def test_plain_http_gets_the_lean_client_and_tls_the_other() -> None:
    assert isinstance(open_upstream("http://localhost:1"), PlainHttpUpstream)
    assert isinstance(open_upstream("https://localhost:1"), AiohttpUpstream)
