"""A load generator on uvloop: keep-alive connections in a closed loop, every byte accounted for."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from bench.process import HOST

_END = b"data: [DONE]\n\n"


@dataclass(kw_only=True)
class Load:
    """What a run saw. `good` requests answered 200 and, when streamed, to the end."""

    good: int = 0
    errors: int = 0
    first_error: str = ""
    events: int = 0
    started_at_s: float = 0
    wall_s: float = 0
    latencies_ms: list[float] = field(default_factory=list)
    ttfbs_ms: list[float] = field(default_factory=list)
    max_gaps_ms: list[float] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        return quantile(self.latencies_ms, 0.5)

    @property
    def p99_ms(self) -> float:
        return quantile(self.latencies_ms, 0.99)

    @property
    def ttfb_p50_ms(self) -> float:
        return quantile(self.ttfbs_ms, 0.5)

    @property
    def max_gap_p50_ms(self) -> float:
        """Median over streams of the longest wait between two arrivals of events."""
        return quantile(self.max_gaps_ms, 0.5)

    @property
    def events_per_s(self) -> float:
        return self.events / self.wall_s if self.wall_s else 0


def quantile(values: list[float], share: float) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection(asyncio.Protocol):
    """Sends one request at a time and watches its answer arrive."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self.alive = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.events = 0
        self.first_byte_at_s = 0.0
        self.last_event_at_s = 0.0
        self.max_gap_s = 0.0
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.alive = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._done and not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("closed before the answer ended"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._done and not self._done.done():
                self._done.set_exception(error)

    def on_body(self, body: bytes) -> None:
        now_s = time.perf_counter()
        if not self.first_byte_at_s:
            self.first_byte_at_s = self.last_event_at_s = now_s
        text = self.tail[-1:] + body
        if events := text.count(b"\n\n"):
            self.events += events
            self.max_gap_s = max(self.max_gap_s, now_s - self.last_event_at_s)
            self.last_event_at_s = now_s
        self.tail = (self.tail + body)[-300:]

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.alive = False
        if self._done and not self._done.done():
            self._done.set_result(None)

    async def exchange(self, request: bytes) -> None:
        assert self._transport
        self._reset()
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._done

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def http_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of a POST on a keep-alive connection."""
    lines = [f"POST {path} HTTP/1.1", f"host: {HOST}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True, kw_only=True)
class _Run:
    port: int
    requests: "itertools.cycle[bytes]"
    until_s: float
    min_events: int
    load: Load


async def _loop(run: _Run) -> None:
    connection: _Connection | None = None
    loop, load = asyncio.get_running_loop(), run.load
    while time.perf_counter() < run.until_s:
        started_at_s = time.perf_counter()
        try:
            if connection is None or not connection.alive:
                _, connection = await loop.create_connection(_Connection, HOST, run.port)
            await connection.exchange(next(run.requests))
        except (OSError, httptools.HttpParserError) as error:
            _count_error(load, repr(error))
            connection = None
            await asyncio.sleep(0.01)
            continue
        ended_at_s = time.perf_counter()
        if connection.status != 200:
            _count_error(load, f"status {connection.status}: {connection.tail!r}")
        elif run.min_events and not (
            connection.events >= run.min_events and connection.tail.endswith(_END)
        ):
            _count_error(load, f"{connection.events} events, ends {connection.tail[-80:]!r}")
        else:
            load.good += 1
            load.events += connection.events
            load.latencies_ms.append((ended_at_s - started_at_s) * 1000)
            load.ttfbs_ms.append((connection.first_byte_at_s - started_at_s) * 1000)
            load.max_gaps_ms.append(connection.max_gap_s * 1000)
    if connection:
        connection.close()


def _count_error(load: Load, text: str) -> None:
    load.errors += 1
    load.first_error = load.first_error or text


def drive(
    port: int,
    requests: list[bytes],
    *,
    concurrency: int,
    duration_s: float,
    min_events: int = 0,
) -> Load:
    """Keep `concurrency` requests in flight for `duration_s`; those begun are finished.

    Args:
        port: where the server listens on the loopback.
        requests: whole HTTP requests, sent in turn.
        concurrency: connections, each with one request at a time.
        duration_s: how long new requests are begun.
        min_events: for streams, how many events a whole one has; 0 for plain answers.
    """

    async def main() -> Load:
        load, started_at_s = Load(), time.perf_counter()
        run = _Run(
            port=port,
            requests=itertools.cycle(requests),
            until_s=started_at_s + duration_s,
            min_events=min_events,
            load=load,
        )
        async with asyncio.timeout(duration_s + 60):
            await asyncio.gather(*(_loop(run) for _ in range(concurrency)))
        load.wall_s = time.perf_counter() - started_at_s
        return load

    return uvloop.run(main())


async def _paced_loop(
    port: int, requests: list[bytes], schedule: range, rate_per_s: float, load: Load
) -> None:
    """Send the requests of `schedule`, each at its own moment, on one connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, HOST, port)
    for number in schedule:
        due_at_s = load.started_at_s + number / rate_per_s
        await asyncio.sleep(max(0, due_at_s - time.perf_counter()))
        try:
            if not connection.alive:
                _, connection = await loop.create_connection(_Connection, HOST, port)
            await connection.exchange(requests[number % len(requests)])
        except (OSError, httptools.HttpParserError) as error:
            _count_error(load, repr(error))
            continue
        if connection.status == 200:
            load.good += 1
            load.latencies_ms.append((time.perf_counter() - due_at_s) * 1000)
        else:
            _count_error(load, f"status {connection.status}: {connection.tail!r}")
    connection.close()


def drive_paced(
    port: int, requests: list[bytes], *, rate_per_s: float, duration_s: float, connections: int
) -> Load:
    """Send requests at fixed moments, however long the answers take.

    A latency counts from the moment a request was due: one that had to wait for the answer before
    it on its connection has waited, too.

    Args:
        port: where the server listens on the loopback.
        requests: whole HTTP requests, sent in turn.
        rate_per_s: how many are sent each second.
        duration_s: for how long.
        connections: among which they are dealt out.
    """

    async def main() -> Load:
        load = Load(started_at_s=time.perf_counter() + 0.1)
        total = int(rate_per_s * duration_s)
        schedules = [range(first, total, connections) for first in range(connections)]
        async with asyncio.timeout(duration_s + 60):
            await asyncio.gather(
                *(_paced_loop(port, requests, each, rate_per_s, load) for each in schedules)
            )
        load.wall_s = time.perf_counter() - load.started_at_s
        return load

    return uvloop.run(main())
