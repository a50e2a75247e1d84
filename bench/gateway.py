"""``octomil serve`` as a gateway to an upstream, every feature on, against LiteLLM's proxy.

The server under test runs on one core, the fake upstream and the load generator on another. All
servers are up at once and take turns, so that a ratio compares figures a few seconds apart.
LiteLLM runs without key and database, with one worker; the floor is a bare proxy on our own stack.
"""

import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.covers import NODE
from bench.cpu import cpu_seconds, load_core, on_cores, pss_mb, server_core, usable_cores
from bench.load import Load, drive, http_request
from bench.peers import LITELLM_ENV, litellm_argv
from bench.process import (
    BenchError,
    Server,
    call,
    free_port,
    octomil_has,
    octomil_program,
    serving,
    wait_for_200,
)
from bench.report import Budget, Row, compare
from bench.upstream import CHUNKS

COVERS = NODE

CONCURRENCY = 32
PACE_MS = 5.0
_CHAT = "/v1/chat/completions"
_KEY = "secret"
_WORDS = ["storage", "network", "protocol", "index", "queue", "latency", "memory", "cache", "river"]
_WORDS += ["history", "weather", "garden", "theory", "method", "result", "paper", "music", "letter"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A gateway under test."""

    key: str
    argv: Callable[[int, int], list[str]]
    ready_path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    env: Callable[[int], Mapping[str, str]] = lambda _upstream_port: {}
    cold_starts: int = 3

    def requests(self, *, stream: bool) -> list[bytes]:
        return [http_request(_CHAT, b, dict(self.headers)) for b in bodies(stream=stream)]

    @contextmanager
    def running(self, upstream_port: int) -> Iterator[Server]:
        port = free_port()
        with serving(
            f"gateway-{self.key}",
            self.argv(port, upstream_port),
            port=port,
            cores=server_core(usable_cores()),
            env=self.env(upstream_port),
        ) as server:
            yield server


def _octomil_argv(port: int, _upstream_port: int) -> list[str]:
    return [
        *(str(octomil_program()), "serve", "--models", "openai:fast,openai:quality"),
        *("--auto-route", "--host", "127.0.0.1", "--port", str(port), "--api-key", _KEY),
        *("--max-queue", "4096"),
    ]


def _octomil_env(upstream_port: int) -> Mapping[str, str]:
    endpoint = f"http://127.0.0.1:{upstream_port}/v1"
    return {"OPENAI_API_ENDPOINT": endpoint, "OPENAI_API_KEY": "x"}


def _floor_argv(port: int, upstream_port: int) -> list[str]:
    upstream = f"http://127.0.0.1:{upstream_port}"
    return [sys.executable, "-m", "bench.floor", "--port", str(port), "--upstream", upstream]


SUBJECTS = (
    Subject(
        key="ours",
        argv=_octomil_argv,
        env=_octomil_env,
        ready_path="/ready",
        headers={"authorization": f"Bearer {_KEY}"},
    ),
    Subject(
        key="peer",
        argv=litellm_argv,
        env=lambda _upstream_port: LITELLM_ENV,
        ready_path="/health/liveliness",
        cold_starts=2,
    ),
    Subject(key="floor", argv=_floor_argv, ready_path="/ready"),
)


def bodies(*, stream: bool, count: int = 512) -> list[bytes]:
    """Requests of about 330 bytes, no two alike, so that no cache can answer the second round."""
    rng = random.Random(7)
    requests = []
    for number in range(count):
        text = f"Question {number} for the reader: " + " ".join(rng.choices(_WORDS, k=30))
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": f"{text[:240]}?"}],
            "max_tokens": 64,
            "temperature": 0.7,
        }
        requests.append(json.dumps(body | ({"stream": True} if stream else {})).encode())
    return requests


class _Rounds:
    """Figures by quantity and subject, one per round."""

    def __init__(self) -> None:
        self._figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, quantity: str, key: str, value: float) -> None:
        self._figures[quantity][key].append(value)

    def row(self, quantity: str, metric: str, unit: str, **rest: Any) -> Row:
        return compare(metric, unit, dict(self._figures[quantity]), **rest)

    def total(self, quantity: str, metric: str, **rest: Any) -> Row:
        totals = {key: [sum(values)] for key, values in self._figures[quantity].items()}
        return compare(metric, "", totals, **rest)


def run(quick: bool) -> list[Row]:
    """Start everything, measure in alternating rounds, and compare the medians."""
    subjects = [s for s in SUBJECTS if s.key != "ours" or octomil_has("serve")]
    rounds, rounds_count = _Rounds(), 1 if quick else 5
    upstream_port = free_port()
    cores = usable_cores()
    argv = [sys.executable, "-m", "bench.upstream"]
    argv += ["--port", str(upstream_port), "--pace-ms", str(PACE_MS)]
    with ExitStack() as stack:
        stack.enter_context(on_cores(load_core(cores)))
        upstream = stack.enter_context(
            serving("upstream", argv, port=upstream_port, cores=load_core(cores))
        )
        wait_for_200(upstream, "/v1/models", timeout_s=15)
        running = []
        for subject in subjects:
            for _ in range(0 if quick else subject.cold_starts - 1):
                with subject.running(upstream_port) as server:
                    rounds.add("cold start", subject.key, _cold_start_s(subject, server))
            server = stack.enter_context(subject.running(upstream_port))
            rounds.add("cold start", subject.key, _cold_start_s(subject, server))
            wait_for_200(server, subject.ready_path)
            running.append((subject, server))
        _measure(rounds, running, upstream_port, rounds_count, quick=quick)
        for subject, server in running:
            rounds.add("pss", subject.key, pss_mb(server.pid))
    return _rows(rounds)


def _cold_start_s(subject: Subject, server: Server) -> float:
    return wait_for_200(server, _CHAT, bodies(stream=False, count=1)[0], _call_headers(subject))


def _call_headers(subject: Subject) -> dict[str, str]:
    return {"content-type": "application/json", **subject.headers}


def _measure(
    rounds: _Rounds,
    running: list[tuple[Subject, Server]],
    upstream_port: int,
    rounds_count: int,
    *,
    quick: bool,
) -> None:
    seconds = 0.7 if quick else 3.0
    for subject, server in running:  # the first requests pay for lazy imports and caches
        status, answer = call(
            server.port, _CHAT, bodies(stream=True, count=1)[0], _call_headers(subject)
        )
        if status != 200 or b"[DONE]" not in answer:
            raise BenchError(f"{subject.key}: a stream answered {status} {answer[-300:]!r}")
        drive(server.port, subject.requests(stream=False), concurrency=CONCURRENCY, duration_s=0.5)
    for number in range(rounds_count):
        direct = drive(
            upstream_port,
            [http_request(_CHAT, body, {}) for body in bodies(stream=False)],
            concurrency=1,
            duration_s=seconds / 3,
        )
        # Back and forth, so that a machine that slows down meets every subject alike.
        for subject, server in running if number % 2 == 0 else reversed(running):
            _one_round(rounds, subject, server, direct, seconds)


def _one_round(
    rounds: _Rounds, subject: Subject, server: Server, direct: Load, seconds: float
) -> None:
    plain, streams = subject.requests(stream=False), subject.requests(stream=True)
    key, port = subject.key, server.port

    lone = drive(port, plain, concurrency=1, duration_s=seconds / 2)
    rounds.add("added p50", key, lone.p50_ms - direct.p50_ms)

    before_s = cpu_seconds(server.pid)
    busy = drive(port, plain, concurrency=CONCURRENCY, duration_s=seconds)
    rounds.add("cpu", key, _per(cpu_seconds(server.pid) - before_s, busy.good))
    rounds.add("p99", key, busy.p99_ms)

    before_s = cpu_seconds(server.pid)
    paced = drive(port, streams, concurrency=CONCURRENCY, duration_s=seconds, min_events=CHUNKS + 1)
    rounds.add("stream cpu", key, _per(cpu_seconds(server.pid) - before_s, paced.good * CHUNKS))
    rounds.add("ttfb", key, paced.ttfb_p50_ms)
    rounds.add("gap", key, paced.max_gap_p50_ms)
    rounds.add("events", key, paced.events_per_s)

    for load in (lone, busy, paced):
        rounds.add("errors", key, load.errors)
        if load.errors:
            print(f"  {key}: {load.errors} errors, the first: {load.first_error}", flush=True)


def _per(cpu_s: float, count: int) -> float:
    """Microseconds each."""
    if not count:
        raise BenchError("no request was answered; see the errors above")
    return cpu_s / count * 1e6


def _rows(rounds: _Rounds) -> list[Row]:
    at = f"c={CONCURRENCY}"
    paced = f"{CONCURRENCY} streams x {CHUNKS} chunks x {PACE_MS:g} ms"
    return [
        rounds.row("cpu", f"CPU per request, {at}", "µs", budget=Budget("ratio", "at least", 40)),
        rounds.row(
            "stream cpu",
            "CPU per paced streamed chunk",
            "µs",
            budget=Budget("ratio", "at least", 20),
            note=paced,
        ),
        rounds.row(
            "added p50",
            "p50 added over the direct upstream, c=1",
            "ms",
            budget=Budget("ours", "at most", 0.6),
        ),
        rounds.row("p99", f"p99, {at}, saturated", "ms"),
        rounds.row("ttfb", "TTFB p50, paced", "ms"),
        rounds.row("gap", "longest gap in a paced stream, p50", "ms"),
        rounds.row("events", "paced events delivered", "1/s", higher_is_better=True),
        rounds.row("pss", "memory after load (PSS)", "MB"),
        rounds.row("cold start", "exec to first 200", "s"),
        rounds.total("errors", "errors, all loads", budget=Budget("ours", "at most", 0)),
    ]
