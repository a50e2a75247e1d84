"""``octomil serve`` over llama.cpp, against the same engine called in process.

Both run one thread on one core and take turns; the client runs on another core. The peer does no
HTTP, no routing, no queue: what it is ahead by is what serving costs.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.covers import NODE
from bench.cpu import cpu_seconds, load_core, on_cores, server_core, usable_cores
from bench.process import (
    LOGS,
    BenchError,
    Server,
    call,
    free_port,
    octomil_has,
    octomil_program,
    serving,
    wait_for_200,
)
from bench.report import ROOT, Budget, Row, compare, median
from bench.streams import ChatStream, Timing

COVERS = NODE

MODEL = "smollm2-135m"
THREADS = 1
LONG_PROMPT_WORDS = 1_360
_PROMPTS = (
    "Write a long story about a lighthouse keeper.",
    "Describe, step by step, how bread is made.",
    "Tell me the history of the bicycle in detail.",
)
_WORDS = ["water", "house", "light", "paper", "music", "river", "stone", "table", "green", "small"]
_BUSY = re.compile(r"^octomil:engine_slots_busy\{[^}]*\} ([0-9.eE+]+)$", re.MULTILINE)

Figures = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class _Engine:
    """One side: how to ask it, and whose CPU it burns."""

    key: str
    pid: int
    chat: Callable[[dict[str, Any]], Timing]


def run(quick: bool) -> list[Row]:
    """Decode, time to first token, and what a client that goes away leaves behind."""
    figures: Figures = defaultdict(lambda: defaultdict(list))
    cores = usable_cores()
    with ExitStack() as stack:
        stack.enter_context(on_cores(load_core(cores)))
        engines = [stack.enter_context(_in_process(gguf_path()))]
        server = None
        if octomil_has("serve"):
            server = stack.enter_context(_serving())
            engines.append(_Engine("ours", server.pid, ChatStream(server.port).chat))
        for engine in engines:
            engine.chat(_body(_PROMPTS[0], max_tokens=4))
        for number in range(1 if quick else 8):
            turn = engines if number % 2 == 0 else engines[::-1]
            _decode_round(figures, turn, max_tokens=48 if quick else 128)
            _ttft_round(figures, turn, repeats=5 if quick else 15)
        prompt_tokens = _prefill_round(figures, engines, seed=1)
        if server:
            for number in range(1 if quick else 5):
                _cancel_in_decode(figures, server)
                _cancel_in_prefill(figures, server, seed=100 + number)
    return _rows(figures, prompt_tokens)


def gguf_path() -> str:
    """The model's file: ``OCTOMIL_BENCH_GGUF``, else pulled by name."""
    if path := os.environ.get("OCTOMIL_BENCH_GGUF"):
        return path
    argv = [str(octomil_program()), "pull", MODEL, "--json"]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"`octomil pull {MODEL}` failed; or set OCTOMIL_BENCH_GGUF to the file")
    return str(json.loads(done.stdout.strip().splitlines()[-1])["path"])


@contextmanager
def _in_process(path: str) -> Iterator[_Engine]:
    argv = [sys.executable, "-m", "bench.in_process", path, str(THREADS)]
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "in-process.log").open("wb") as log, on_cores(server_core(usable_cores())):
        child = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert child.stdin
    assert child.stdout
    requests, answers = child.stdin, child.stdout

    def chat(body: dict[str, Any]) -> Timing:
        requests.write(json.dumps(body) + "\n")
        requests.flush()
        return Timing(**_read(answers.readline()))

    try:
        _read(answers.readline())
        yield _Engine("peer", child.pid, chat)
    finally:
        child.kill()  # it holds nothing worth an orderly end
        child.wait()


def _read(line: str) -> dict[str, Any]:
    if not line:
        raise BenchError(f"the in-process engine ended; see {LOGS / 'in-process.log'}")
    answer: dict[str, Any] = json.loads(line)
    return answer


@contextmanager
def _serving() -> Iterator[Server]:
    port = free_port()
    argv = [str(octomil_program()), "serve", MODEL, "--threads", str(THREADS)]
    argv += ["--host", "127.0.0.1", "--port", str(port)]
    cores = server_core(usable_cores())
    with serving("llama-cpp", argv, port=port, cores=cores) as server:
        wait_for_200(server, "/ready")
        yield server


def _body(prompt: str, *, max_tokens: int) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _long_prompt(seed: int) -> str:
    """Words that are one token each; another seed shares no prefix, so no cache helps."""
    words = " ".join(random.Random(seed).choices(_WORDS, k=LONG_PROMPT_WORDS))
    return f"{words}. Tell a story with these words."


def _decode_round(figures: Figures, engines: list[_Engine], *, max_tokens: int) -> None:
    for prompt in _PROMPTS:
        for engine in engines:
            before_s = cpu_seconds(engine.pid)
            timing = engine.chat(_body(prompt, max_tokens=max_tokens))
            cpu_s = cpu_seconds(engine.pid) - before_s
            figures["tokens per s"][engine.key].append(timing.tokens_per_s)
            figures["tokens per cpu s"][engine.key].append(timing.completion_tokens / cpu_s)


def _ttft_round(figures: Figures, engines: list[_Engine], *, repeats: int) -> None:
    """The prompt is cached, so that what is left of the prefill is shorter than its own noise."""
    body = _body(_PROMPTS[0], max_tokens=2)
    for engine in engines:
        engine.chat(body)
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for engine in engines:
            taken[engine.key].append(engine.chat(body).ttft_ms)
    for key, values in taken.items():
        figures["ttft"][key].append(median(values) or 0)
    if "ours" in taken:
        pairs = zip(taken["ours"], taken["peer"], strict=True)
        figures["ttft added"]["ours"].append(median([ours - peer for ours, peer in pairs]) or 0)


def _prefill_round(figures: Figures, engines: list[_Engine], *, seed: int) -> int:
    prompt_tokens = 0
    for engine in engines:
        timing = engine.chat(_body(_long_prompt(seed), max_tokens=2))
        figures["prefill"][engine.key].append(timing.ttft_ms / 1000)
        prompt_tokens = timing.prompt_tokens
    return prompt_tokens


def _cancel_in_decode(figures: Figures, server: Server) -> None:
    stream = ChatStream(server.port)
    stream.send(_body(_PROMPTS[1], max_tokens=512))
    stream.read(max_events=9)
    _require_held(server)
    _add_free_times(figures, "decode", server, stream.cut())


def _cancel_in_prefill(figures: Figures, server: Server, *, seed: int) -> None:
    stream = ChatStream(server.port)
    stream.send(_body(_long_prompt(seed), max_tokens=64))
    deadline_s = time.perf_counter() + 10
    while not _engine_busy(server):
        if time.perf_counter() > deadline_s:
            raise BenchError("octomil:engine_slots_busy never showed the running request")
    time.sleep(1)
    _require_held(server)
    _add_free_times(figures, "prefill", server, stream.cut())


def _require_held(server: Server) -> None:
    """Both views must show the request, else their falling free would prove nothing."""
    held = {"queue": _queue_active(server), "engine": _engine_busy(server)}
    if set(held.values()) != {1.0}:
        raise BenchError(f"before the cancel one slot should be held in each view, got {held}")


def _add_free_times(figures: Figures, phase: str, server: Server, cut_at_s: float) -> None:
    """Poll both views of the slot, ours and the engine's own, until both are free.

    The views are asked in turn, so each is known to within one answer of the other; an engine in
    a prefill answers only between two batches.
    """
    views: dict[str, Callable[[Server], float]] = {"queue": _queue_active, "engine": _engine_busy}
    freed_s: dict[str, float] = {}
    while len(freed_s) < len(views):
        for name, view in views.items():
            if name not in freed_s and not view(server):
                freed_s[name] = time.perf_counter() - cut_at_s
        if time.perf_counter() - cut_at_s > 60:
            raise BenchError(f"60 s after a cancel in {phase} only {list(freed_s)} are free")
        time.sleep(0.002)
    for name, seconds in freed_s.items():
        figures[f"{phase}, {name}"]["ours"].append(seconds)


def _queue_active(server: Server) -> float:
    status, answer = call(server.port, "/v1/queue/stats")
    if status != 200:
        raise BenchError(f"/v1/queue/stats answered {status}")
    return float(json.loads(answer)["active"])


def _engine_busy(server: Server) -> float:
    status, answer = call(server.port, "/metrics")
    found = _BUSY.findall(answer.decode())
    if status != 200 or not found:
        raise BenchError(f"/metrics answered {status} without octomil:engine_slots_busy")
    return sum(float(value) for value in found)


def _rows(figures: Figures, prompt_tokens: int) -> list[Row]:
    def row(quantity: str, metric: str, unit: str, **rest: Any) -> Row:
        return compare(metric, unit, dict(figures[quantity]), **rest)

    half_second = Budget("ours", "at most", 0.5)
    return [
        row(
            "tokens per s",
            "decode, median",
            "tokens/s",
            higher_is_better=True,
            budget=Budget("ratio", "at least", 0.97),
            note=f"{MODEL}, {THREADS} thread; the peer is xllamacpp called in process",
        ),
        Row(
            metric="decode, best of the rounds",
            unit="tokens/s",
            ours=max(figures["tokens per s"]["ours"], default=None),
            peer=max(figures["tokens per s"]["peer"], default=None),
            higher_is_better=True,
            note="not judged; where it and the median disagree, the machine was busy",
        ),
        row(
            "tokens per cpu s",
            "decode, per CPU second of the process tree",
            "tokens/s",
            higher_is_better=True,
            note="does not count waiting for a busy core; prefill of the short prompt included",
        ),
        row("ttft", "TTFT, prompt cached", "ms"),
        row("ttft added", "TTFT added", "ms", budget=Budget("ours", "at most", 3)),
        row("prefill", f"TTFT of an uncached prompt of {prompt_tokens} tokens", "s"),
        row("decode, queue", "cancel in decode: our slot free", "s", budget=half_second),
        row("decode, engine", "cancel in decode: the engine's free", "s", budget=half_second),
        *(
            row(
                f"prefill, {view}",
                f"cancel in prefill: {words} free",
                "s",
                budget=Budget("ours", "at most", 1.5),
            )
            for view, words in (("queue", "our slot"), ("engine", "the engine's"))
        ),
    ]
