"""What the control plane adds to an answer of the engine behind it, whole and token by token.

The engine is the fake upstream, which writes 64 chunks as fast as it can; the floor asks it
directly, for the same stream that the control plane asks it for. One request at a time: what is
measured is the way there and back, not the queue.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import cpu_seconds, load_core, server_core, usable_cores
from bench.load import Load, drive, http_request
from bench.process import (
    BenchError,
    Server,
    free_port,
    listening,
    octomil_program,
    serving,
    wait_for_200,
)
from bench.report import Budget, Row, compare
from bench.upstream import CHUNKS

COVERS = (
    "octomil/control/api",
    "octomil/control/backends",
    "octomil/control/services",
    "octomil/engines",
)

TOKENS = CHUNKS - 2
"""Chunks of the upstream that say something."""

_KEY = re.compile(r"shown this once: (\S+)")
_SAID = [{"role": "user", "content": "Explain gradient descent in a sentence or two."}]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is asked: the control plane, and the engine behind it.

    Attributes:
        key: the control plane's admin key.
    """

    control: Server
    engine: Server
    key: str

    def request(self, path: str) -> list[bytes]:
        """A request to the control plane."""
        body = json.dumps({"model_id": "bench", "messages": _SAID}).encode()
        return [http_request(f"/api/v1/{path}", body, {"authorization": f"Bearer {self.key}"})]


def run(quick: bool) -> list[Row]:
    """Measure alternately: the floor, a whole answer, a stream."""
    rounds, duration_s = (2, 1.0) if quick else (7, 4.0)
    found: dict[str, list[float]] = {name: [] for name in ("floor", "whole", "stream", "cpu")}
    first: dict[str, list[float]] = {"floor": [], "ours": []}
    with _place() as place:
        for _ in range(rounds):
            bare = _bare(place, duration_s)
            whole = _asked(place, "inference", duration_s)
            before_s = cpu_seconds(place.control.pid)
            stream = _asked(place, "inference/stream", duration_s)
            spent_s = cpu_seconds(place.control.pid) - before_s
            if stream.events != stream.good * (TOKENS + 1):
                raise BenchError(f"{stream.events} events in {stream.good} streams")
            found["floor"].append(bare.p50_ms)
            found["whole"].append(whole.p50_ms)
            found["stream"].append(stream.p50_ms)
            found["cpu"].append(spent_s * 1e6 / (stream.good * TOKENS))
            first["floor"].append(bare.ttfb_p50_ms)
            first["ours"].append(stream.ttfb_p50_ms)
    added = [ours - floor for ours, floor in zip(found["whole"], found["floor"], strict=True)]
    return [
        Row(
            metric="/inference beyond the engine, p50",
            unit="ms",
            ours=compare("", "", {"ours": added}).ours,
            budget=Budget("ours", "at most", 3),
            note=f"one client; an answer of {TOKENS} tokens, read as a stream by both",
            rounds={"ours": added},
        ),
        compare("/inference, p50", "ms", {"ours": found["whole"], "floor": found["floor"]}),
        compare("/inference/stream, p50", "ms", {"ours": found["stream"], "floor": found["floor"]}),
        compare("/inference/stream, first event p50", "ms", first),
        compare("/inference/stream, CPU per token", "µs", {"ours": found["cpu"]}),
    ]


@contextmanager
def _place() -> Iterator[Place]:
    cores = usable_cores()
    engine_port = free_port()
    argv = [sys.executable, "-m", "bench.upstream", "--port", str(engine_port)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(
            serving("inference-engine", argv, port=engine_port, cores=load_core(cores))
        )
        wait_for_200(engine, "/v1/models", timeout_s=15)
        up = [str(octomil_program()), "up", "--data-dir", str(folder / "data"), "--port", "0"]
        env = {
            "OPENAI_API_ENDPOINT": f"http://127.0.0.1:{engine_port}/v1",
            "OLLAMA_BASE_URL": f"http://127.0.0.1:{free_port()}",
        }
        control = stack.enter_context(
            serving(
                "inference-up", [*up, "--rate-limit", "off"], port=0, cores=server_core(cores),
                env=env,
            )
        )  # fmt: skip
        control = listening(control)
        key = _KEY.search(control.log.read_text(encoding="utf-8"))
        if key is None:
            raise BenchError("the control plane printed no key")
        yield Place(control=control, engine=engine, key=key[1])


def _bare(place: Place, duration_s: float) -> Load:
    """Ask the engine directly, for the stream that the control plane asks it for."""
    body = {
        "model": "bench",
        "messages": _SAID,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = http_request("/v1/chat/completions", json.dumps(body).encode(), {})
    return _whole(
        drive(place.engine.port, [request], concurrency=1, duration_s=duration_s, min_events=CHUNKS)
    )


def _asked(place: Place, path: str, duration_s: float) -> Load:
    requests = place.request(path)
    return _whole(drive(place.control.port, requests, concurrency=1, duration_s=duration_s))


def _whole(load: Load) -> Load:
    if load.errors or not load.good:
        raise BenchError(f"{load.errors} of {load.good + load.errors} failed: {load.first_error}")
    return load
