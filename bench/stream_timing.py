"""What `StreamingInferenceClient` measures, against when the tokens were really sent.

The upstream is a process of its own and says in each token when it was sent, by the clock that all
processes of a machine share. The client reads it over HTTP with httpx, as an application would, and
reports its events meanwhile.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from bench.cpu import load_core, on_cores, server_core, usable_cores
from bench.paced_tokens import PACE_S, TOKENS
from bench.process import HOST, BenchError, free_port, serving, wait_for_200
from bench.report import Budget, Row, compare, median
from octomil.inference.stream_meter import StreamingInferenceResult
from octomil.inference.streaming_client import EVENTS_PATH, StreamingInferenceClient

COVERS = tuple(
    f"octomil/inference/{name}.py"
    for name in ("stream_meter", "event_reporter", "streaming_client")
)

FIGURES = {
    "ttfc_ms": ("time to first chunk", "ms"),
    "avg_chunk_latency_ms": ("chunk latency", "ms"),
    "total_duration_ms": ("duration", "ms"),
    "throughput": ("throughput", "chunks/s"),
}

Figures = dict[str, float]
Measured = tuple[Figures, Figures]
"""What the client measured, and the truth."""


def run(quick: bool) -> list[Row]:
    """Measure streams, one after the other."""
    streams = 3 if quick else 40
    cores, port = usable_cores(), free_port()
    argv = [sys.executable, "-m", "bench.paced_tokens", "--port", str(port)]
    base = f"http://{HOST}:{port}/api/v1"
    with serving("paced_tokens", argv, port=port, cores=server_core(cores)) as server:
        wait_for_200(server, f"/api/v1{EVENTS_PATH}", b"{}")
        with (
            on_cores(load_core(cores)),
            StreamingInferenceClient(api_key="bench", api_base=base) as client,
        ):
            url = f"http://{HOST}:{port}/stream"
            rows = _rows("sync", _sync(client, url, streams))
            rows += _rows("async", asyncio.run(_async(client, url, streams)))
            client.flush()
            reports = client.reports
    if (reports.sent, reports.dropped) != (4 * (streams + 1), 0):
        raise BenchError(f"events were lost: {reports}")
    return rows


def _sync(client: StreamingInferenceClient, url: str, streams: int) -> list[Measured]:
    with httpx.Client(timeout=60) as http:

        def tokens() -> Iterator[dict[str, Any]]:
            with http.stream("POST", url) as answer:
                yield from map(_token, filter(None, answer.iter_lines()))

        def one() -> Measured:
            began_s = time.perf_counter()
            stream = client.generate("bench", tokens)
            return _compared(began_s, [token["sent_at_s"] for token in stream], stream.result)

        return _after_the_first(one, streams)


async def _async(client: StreamingInferenceClient, url: str, streams: int) -> list[Measured]:
    async with httpx.AsyncClient(timeout=60) as http:

        async def tokens() -> AsyncIterator[dict[str, Any]]:
            async with http.stream("POST", url) as answer:
                async for line in answer.aiter_lines():
                    if line:
                        yield _token(line)

        measured = []
        for _ in range(streams + 1):
            began_s = time.perf_counter()
            stream = client.generate_async("bench", tokens)
            sent = [token["sent_at_s"] async for token in stream]
            measured.append(_compared(began_s, sent, stream.result))
        return measured[1:]


def _after_the_first(one: Callable[[], Measured], streams: int) -> list[Measured]:
    """Leave out the first, which connects."""
    return [one() for _ in range(streams + 1)][1:]


def _token(line: str) -> dict[str, Any]:
    token: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return token


def _compared(
    began_s: float, sent_at_s: list[float], result: StreamingInferenceResult | None
) -> Measured:
    if result is None or len(sent_at_s) != TOKENS:
        raise BenchError(f"{len(sent_at_s)} of {TOKENS} tokens came")
    first_s, last_s = sent_at_s[0], sent_at_s[-1]
    truth = {
        "ttfc_ms": (first_s - began_s) * 1e3,
        "avg_chunk_latency_ms": (last_s - first_s) / (TOKENS - 1) * 1e3,
        "total_duration_ms": (last_s - began_s) * 1e3,
        "throughput": TOKENS / (last_s - began_s),
    }
    return {name: getattr(result, name) for name in FIGURES}, truth


def _rows(kind: str, measured: list[Measured]) -> list[Row]:
    rows = []
    for name, (what, unit) in FIGURES.items():
        ours, truth = ([each[side][name] for each in measured] for side in (0, 1))
        errors = [100 * abs(a / b - 1) for a, b in zip(ours, truth, strict=True)]
        rows.append(compare(f"{what}, {kind}", unit, {"ours": ours, "floor": truth}))
        rows.append(
            Row(
                metric=f"{what}, {kind}, off the truth",
                unit="%",
                ours=median(errors),
                budget=Budget("ours", "at most", 10),
                rounds={"ours": errors},
                note=f"{len(errors)} streams of {TOKENS} tokens, one every {PACE_S * 1e3:g} ms; "
                f"the worst is off by {max(errors):.2g} %",
            )
        )
    return rows
