"""However a request ends, it is recorded once, and each token sent is counted and billed.

Real processes on real sockets: clients leave before the first word, between any two, while another
model stands in, while tasks are answered side by side, and while they wait; upstreams break off;
the node is told to stop.
"""

import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import pytest

from support.caller import Caller
from support.nodes import chat
from support.prometheus import read_metrics
from support.serving import ServeProcess, serving
from support.upstream import (
    CUT,
    Answer,
    FakeUpstream,
    Gate,
    chunk,
    doubtful,
    event,
    fake_upstream,
    words,
)
from support.waiting import eventually

PROMPT_USD, TOKEN_USD = 0.001, 0.002
PRICES = ("--price", "openai:small=1000/2000", "--price", "openai:large=1000/2000")
MODELS = ("--models", "openai:small,openai:large", "--auto-route", "--breaker-failures", "0")
TWO_TASKS = "What is the capital of France? What is the capital of Peru?"
OLLAMA_LIMIT = 64  # requests the node lets run at once at an Ollama
LONGEST = 6


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running_upstream: FakeUpstream) -> FakeUpstream:
    running_upstream.forget()
    return running_upstream


@pytest.fixture(scope="module")
def gateway(running_upstream: FakeUpstream) -> Iterator[ServeProcess]:
    with serving(*MODELS, *PRICES, env=running_upstream.env) as served:
        yield served


@pytest.fixture(scope="module")
def doubting(running_upstream: FakeUpstream) -> Iterator[ServeProcess]:
    with serving(*MODELS, *PRICES, "--fallback", env=running_upstream.env) as served:
        yield served


class Books:
    """What a node has counted since the last look."""

    def __init__(self, served: ServeProcess) -> None:
        self._served = served
        self._before = self._read()

    def _read(self) -> Counter[tuple[str, str]]:
        told = read_metrics(self._served.get("/metrics").text)
        counted: Counter[tuple[str, str]] = Counter()
        for name in (
            *("request_success_total", "request_failure_total", "cost_usd_total"),
            *("prompt_tokens_total", "generation_tokens_total"),
            *("tenant_tokens_total", "tenant_cost_usd_total"),
        ):
            for (_, labels), value in told[f"octomil:{name}"].samples.items():
                counted[name, dict(labels)["model_name"]] += value
        return counted

    def new(self) -> Counter[tuple[str, str]]:
        """What was added."""
        now = self._read()
        now.subtract(self._before)
        return now

    def records(self) -> int:
        return sum(count for (name, _), count in self.new().items() if name.startswith("request_"))

    def balance(self, said: Mapping[str, int], *, requests: int = 1) -> None:
        """Wait until the requests have left, and check what was counted of them."""
        eventually(lambda: self.records() >= requests)
        new = self.new()
        assert self.records() == requests
        for model in ("small", "large"):
            prompt, tokens = (
                new[f"{kind}_tokens_total", model] for kind in ("prompt", "generation")
            )
            usd = prompt * PROMPT_USD + tokens * TOKEN_USD
            assert tokens == said.get(model, 0)
            assert (prompt > 0) == (model in said)
            assert new["cost_usd_total", model] == pytest.approx(usd, abs=1e-9)
            assert new["tenant_tokens_total", model] == prompt + tokens
            assert new["tenant_cost_usd_total", model] == pytest.approx(usd, abs=1e-9)


def saying(count: int, *ending: Any) -> Answer:
    """An answer of so many words, each in a chunk of its own, that ends somehow."""
    return Answer([*(event(chunk(f"w{i} ")) for i in range(count)), *ending])


def settle(served: ServeProcess) -> None:
    """Let the node read what has been sent to it before."""
    for _ in range(3):
        served.get("/health")


def body_of(content: str, *, stream: bool, model: str = "auto") -> dict[str, Any]:
    return chat(content, model=model, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("count", range(LONGEST))
def test_client_who_leaves_after_any_word(gateway, upstream, count, stream):
    gate = Gate()
    upstream.script("small", saying(count, gate))
    books = Books(gateway)
    with Caller(gateway.url) as caller:
        caller.ask(body_of("Hello", stream=stream, model="small"))
        gate.await_waiting()
        settle(gateway)

    gate.await_hang_up()
    books.balance({"small": count})


def test_client_who_leaves_before_the_upstream_says_anything(gateway, upstream):
    gate = Gate()
    upstream.script("small", Answer(words("too late"), hold=gate))
    books = Books(gateway)
    with Caller(gateway.url) as caller:
        caller.ask(body_of("Hello", stream=True, model="small"))
        gate.await_waiting()

    gate.await_hang_up()
    books.balance({"small": 0})


def test_words_that_arrive_in_one_piece_are_counted_one_by_one(gateway, upstream):
    gate = Gate()
    together = b"".join(event(chunk(f"w{i}")) for i in range(LONGEST))
    upstream.script("small", Answer([together, gate]))
    books = Books(gateway)
    with Caller(gateway.url) as caller:
        caller.ask(body_of("Hello", stream=True, model="small"))
        gate.await_waiting()
        settle(gateway)

    gate.await_hang_up()
    books.balance({"small": LONGEST})


@pytest.mark.parametrize("count", range(1, LONGEST))
def test_client_who_leaves_while_another_model_stands_in(gateway, upstream, count):
    gate = Gate()
    upstream.script("small", saying(LONGEST - count, CUT))
    upstream.script("large", saying(count, gate))
    books = Books(gateway)
    with Caller(gateway.url) as caller:
        caller.ask(body_of("Hello", stream=False))
        gate.await_waiting()
        settle(gateway)

    gate.await_hang_up()
    books.balance({"small": LONGEST - count, "large": count})


@pytest.mark.parametrize("stream", [False, True])
def test_client_who_leaves_while_an_unsure_answer_is_made_up_for(doubting, upstream, stream):
    gate = Gate()
    upstream.script("small", Answer(doubtful("well perhaps", -3.0)))
    upstream.script("large", saying(3, gate))
    books = Books(doubting)
    with Caller(doubting.url) as caller:
        caller.ask(body_of("Hello", stream=stream))
        gate.await_waiting()
        settle(doubting)

    gate.await_hang_up()
    books.balance({"small": 2, "large": 3})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("count", range(1, LONGEST))
def test_client_who_leaves_while_its_tasks_are_at_work(gateway, upstream, count, stream):
    gate = Gate()
    upstream.script("small", saying(count, gate), saying(LONGEST - count, gate))
    books = Books(gateway)
    with Caller(gateway.url) as caller:
        caller.ask(body_of(TWO_TASKS, stream=stream))
        gate.await_waiting(2)
        settle(gateway)

    gate.await_hang_up(2)
    books.balance({"small": LONGEST})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("count", range(1, LONGEST))
def test_answer_that_breaks_off(gateway, upstream, count, stream):
    upstream.script("small", saying(count, CUT))
    books = Books(gateway)

    gateway.post("/v1/chat/completions", body_of("Hello", stream=stream, model="small"))

    books.balance({"small": count})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content", ["Hello", TWO_TASKS])
def test_answer_that_ends_well(gateway, upstream, content, stream):
    tasks = 2 if content == TWO_TASKS else 1
    upstream.always("small", Answer(words("one two three")))
    books = Books(gateway)

    gateway.chat(content, stream=stream)

    books.balance({"small": 3 * tasks})
    assert books.new()["prompt_tokens_total", "small"] == 3 * tasks


def test_request_that_no_model_ever_saw(gateway, upstream):
    books = Books(gateway)

    gateway.chat("Hello", model="?")
    gateway.chat("What is 2+2?")
    with Caller(gateway.url) as caller:
        caller.send(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")

    books.balance({}, requests=3)


def test_crowd_that_leaves_at_once_and_the_one_who_waited(running_upstream, upstream):
    gate = Gate()
    price = ("--price", "ollama:small=1000/2000")
    with serving("ollama:small", *price, env=running_upstream.env) as served, ExitStack() as house:
        upstream.always("small", saying(2, gate))
        books = Books(served)
        for index in range(OLLAMA_LIMIT):
            caller = house.enter_context(Caller(served.url))
            caller.ask(body_of("Hello", stream=index % 2 == 0))
        gate.await_waiting(OLLAMA_LIMIT)
        with Caller(served.url) as waiting:
            waiting.ask(body_of("Hello", stream=True))
            eventually(lambda: served.get("/v1/queue/stats").json()["pending"] == 1)
        eventually(lambda: books.records() == 1)
        settle(served)
        house.close()

        gate.await_hang_up(OLLAMA_LIMIT)
        books.balance({"small": 2 * OLLAMA_LIMIT}, requests=OLLAMA_LIMIT + 1)


@pytest.mark.parametrize("stream", [False, True])
def test_node_that_is_told_to_stop(upstream, tmp_path, stream):
    gate = Gate()
    upstream.script("small", saying(3, gate))
    env = {**upstream.env, "OCTOMIL_STATE_DIR": str(tmp_path)}
    options = ("--spend-cap", "100", "--drain-timeout", "0")
    with serving(*MODELS, *PRICES, *options, env=env) as served, Caller(served.url) as caller:
        caller.ask(body_of("Hello", stream=stream))
        gate.await_waiting()
        settle(served)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(120) == 0

        (line,) = eventually(lambda: [e for e in served.errors if e.startswith("[request]")])
    found = re.search(r" (\d+)\+(\d+) tok .* \$([\d.]+) error:shutting_down id \S+$", line)
    assert found is not None, line
    prompt, tokens, usd = int(found[1]), int(found[2]), float(found[3])
    assert tokens == 3
    assert usd == pytest.approx(prompt * PROMPT_USD + tokens * TOKEN_USD)
    with closing(sqlite3.connect(tmp_path / "spending.sqlite3")) as ledger:
        assert ledger.execute("SELECT usd FROM spent").fetchall() == [(pytest.approx(usd),)]
