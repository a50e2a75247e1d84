"""A node under pressure: too many callers, callers who leave, stall or have no key, upstreams that
fail in every way, and signals at bad moments. Real processes on real sockets.
"""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from octomil.cli.main import main
from octomil.engines.echo import EchoEngine
from support.caller import CHAT, Caller, head
from support.nodes import chat, client_of, composed_node, node_of
from support.ollama import ollama
from support.prometheus import read_metrics
from support.serving import ServeProcess, serving
from support.sse import read_events, read_stream
from support.upstream import (
    CUT,
    DONE,
    Answer,
    FakeUpstream,
    Gate,
    chunk,
    completion,
    event,
    failure,
    fake_upstream,
    usage_chunk,
    words,
)
from support.waiting import eventually, url_while_loading

PATHS = (CHAT, "/v1/completions", "/v1/embeddings")
UPSTREAM_LIMIT = 256  # requests the node lets run at once at an OpenAI-compatible server
TWO = ("--models", "openai:small,openai:large", "--auto-route")
FORGIVING = ("--breaker-failures", "0")
"""So that what one test lets fail is asked again by the next."""


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running_upstream: FakeUpstream) -> FakeUpstream:
    """The server behind every node here, well-behaved until a test says otherwise."""
    running_upstream.forget()
    return running_upstream


@pytest.fixture(scope="module")
def gateway(running_upstream: FakeUpstream) -> Iterator[ServeProcess]:
    """A node that routes between two models of the upstream."""
    with serving(*TWO, *FORGIVING, env=running_upstream.env) as served:
        yield served


@pytest.fixture(scope="module")
def impatient(running_upstream: FakeUpstream) -> Iterator[ServeProcess]:
    """A node that gives a body a second to arrive."""
    with serving("openai:small", "--body-timeout", "1", env=running_upstream.env) as served:
        yield served


@pytest.fixture(scope="module")
def guarded() -> Iterator[ServeProcess]:
    """A node that asks for a key and lets one origin's pages call."""
    options = ("--api-key", "secret", "--cors-origin", "https://app.example")
    with serving("echo:small", *options) as served:
        yield served


@contextmanager
def full_house(served: ServeProcess, upstream: FakeUpstream) -> Iterator[tuple[list[Caller], Gate]]:
    """As many callers as the upstream may have at once, all held there by a gate."""
    gate = Gate()
    upstream.always("small", Answer([completion("at last")], hold=gate))
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(served.url)) for _ in range(UPSTREAM_LIMIT)]
        for caller in callers:
            caller.ask(chat("Hello", model="small"))
        gate.await_waiting(UPSTREAM_LIMIT)
        yield callers, gate
        gate.open()


def queue(served: ServeProcess) -> dict[str, Any]:
    return served.get("/v1/queue/stats").json()


def failures(served: ServeProcess, model: str, reason: str) -> float:
    told = read_metrics(served.get("/metrics").text)["octomil:request_failure_total"]
    return told.value(model_name=model, reason=reason)


def where(response: httpx.Response) -> tuple[str, str]:
    return response.headers["X-Octomil-Routed-Model"], response.headers["X-Octomil-Routing-Tier"]


def said(response: httpx.Response, *, stream: bool) -> str:
    assert response.status_code == 200, response.text
    if not stream:
        return response.json()["choices"][0]["message"]["content"]
    read = read_stream(response)
    assert read.dones == 1
    return read.text


# ---- too many callers ----


def test_full_queue_is_a_429_that_says_when_to_come_back(upstream):
    requests = [
        (CHAT, chat("Hello", model="small")),
        (CHAT, chat("Hello", model="small", stream=True)),
        (CHAT, chat("Hello", model="auto")),
        ("/v1/completions", {"model": "small", "prompt": "x"}),
        ("/v1/embeddings", {"model": "small", "input": "x"}),
    ]
    with (
        serving("openai:small", "--max-queue", "0", env=upstream.env) as served,
        full_house(served, upstream) as (callers, gate),
    ):
        for path, body in requests:
            response = served.post(path, body)

            assert response.status_code == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            error = response.json()["error"]
            assert (error["type"], error["code"]) == ("rate_limit_error", "queue_full")
        assert failures(served, "small", "queue_full") == len(requests)
        assert (queue(served)["rejected"], queue(served)["active"]) == (5, UPSTREAM_LIMIT)

        gate.open()
        statuses = {caller.response().status for caller in callers}

        assert statuses == {200}
        assert served.chat("Hello").status_code == 200
        assert len(upstream.requests("small")) == UPSTREAM_LIMIT + 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fallback", [False, True])
async def test_full_queue_moves_nobody_to_a_model_that_costs_more(fallback, stream):
    engines = {name: EchoEngine(name) for name in ("small", "large")}
    async with (
        node_of(engines, fallback=fallback, max_queue=0) as node,
        client_of(node) as client,
    ):
        house = node.turnstile("small").queue
        for _ in range(house.max_concurrency):
            await house.acquire()
        response = await client.post(CHAT, json=chat("Hello", stream=stream))
        for _ in range(house.max_concurrency):
            house.release()

        assert response.status_code == 429
        assert response.json()["error"]["code"] == "queue_full"
        assert response.headers["X-Octomil-Routed-Model"] == "small"
        assert "large" not in node.queue_stats()["models"]


@pytest.mark.parametrize("stream", [False, True])
def test_waiting_too_long_for_a_turn_is_a_504(upstream, stream):
    with (
        serving("openai:small", "--queue-timeout", "0.05", env=upstream.env) as served,
        full_house(served, upstream),
    ):
        response = served.chat("Hello", stream=stream)

    assert response.status_code == 504
    assert int(response.headers["Retry-After"]) >= 1
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("timeout_error", "queue_timeout")
    assert error["message"] == "no turn within 0.05 s; try again later"
    assert len(upstream.requests("small")) == UPSTREAM_LIMIT


def test_caller_who_leaves_makes_room_for_the_one_who_waits(gateway, upstream):
    with full_house(gateway, upstream) as (callers, gate), Caller(gateway.url) as waiting:
        waiting.ask(chat("Hello", model="small"))
        eventually(lambda: queue(gateway)["pending"] == 1)

        callers[0].socket.close()

        gate.await_waiting(UPSTREAM_LIMIT + 1)
        gate.open()
        assert waiting.response().status == 200


def test_caller_who_leaves_while_waiting_is_forgotten(gateway, upstream):
    with full_house(gateway, upstream) as (callers, gate):
        with Caller(gateway.url) as waiting:
            waiting.ask(chat("Hello", model="small"))
            eventually(lambda: queue(gateway)["pending"] == 1)

        eventually(lambda: queue(gateway)["pending"] == 0)
        gate.open()
        assert {caller.response().status for caller in callers} == {200}
    assert len(upstream.requests("small")) == UPSTREAM_LIMIT


# ---- callers who leave or stall ----


@pytest.mark.parametrize("stream", [False, True])
def test_caller_who_hangs_up_stops_the_upstream(gateway, upstream, stream):
    gate = Gate()
    before = failures(gateway, "small", "cancelled")
    upstream.script("small", Answer([completion("too late")], hold=gate))
    with Caller(gateway.url) as caller:
        caller.ask(chat("Hello", model="small", stream=stream))
        gate.await_waiting()

    gate.await_hang_up()

    eventually(lambda: failures(gateway, "small", "cancelled") == before + 1)
    eventually(lambda: queue(gateway)["active"] == 0)


def test_caller_who_hangs_up_before_its_vectors_come_stops_the_upstream(gateway, upstream):
    gate = Gate()
    before = failures(gateway, "small", "cancelled")
    upstream.script("small", Answer([b"{}"], hold=gate))
    with Caller(gateway.url) as caller:
        caller.ask({"model": "small", "input": "x"}, "/v1/embeddings")
        gate.await_waiting()

    gate.await_hang_up()

    eventually(lambda: failures(gateway, "small", "cancelled") == before + 1)
    eventually(lambda: queue(gateway)["active"] == 0)


def test_caller_who_hangs_up_in_the_middle_of_a_stream_stops_the_upstream(gateway, upstream):
    gate = Gate()
    before = failures(gateway, "small", "cancelled")
    upstream.script("small", Answer([event(chunk("one")), gate]))
    with Caller(gateway.url) as caller:
        caller.ask(chat("Hello", model="small", stream=True))
        assert b"one" in caller.response().readline()

    gate.await_hang_up()

    eventually(lambda: failures(gateway, "small", "cancelled") == before + 1)
    eventually(lambda: queue(gateway)["active"] == 0)


def test_caller_who_hangs_up_before_its_body_is_whole_is_counted(gateway):
    before = failures(gateway, "", "cancelled")
    with Caller(gateway.url) as caller:
        caller.send(head(CHAT, 100) + b'{"messages"')

    eventually(lambda: failures(gateway, "", "cancelled") == before + 1)


@pytest.mark.parametrize("path", PATHS)
def test_body_that_does_not_come_is_cut_off_with_a_408(impatient, path):
    with Caller(impatient.url) as caller:
        caller.send(head(path, 100) + b'{"messages"')

        response = caller.response()

        assert response.status == 408
        error = json.loads(response.read())["error"]
        assert error["code"] == "request_timeout"
        assert error["message"] == "the body did not arrive within 1 s"
        assert caller.socket.recv(1) == b""


def test_body_that_trickles_is_cut_off_as_well(impatient):
    with Caller(impatient.url) as caller:
        caller.send(head(CHAT, 1_000_000))
        caller.trickle(b" ")

        assert caller.response().status == 408


def test_connections_that_say_nothing_or_little_keep_nobody_else_waiting(gateway):
    with ExitStack() as stack:
        silent = [stack.enter_context(Caller(gateway.url)) for _ in range(100)]
        for caller in silent[::2]:
            caller.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: local")

        assert gateway.chat("Hello", model="small").status_code == 200

        body = json.dumps(chat("Hello", model="small")).encode()
        silent[0].send(b"host\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert silent[0].response().status == 200


# ---- upstreams that fail ----

BEFORE_THE_FIRST_WORD = {
    "500": failure(500),
    "503": failure(503),
    "429": failure(429),
    "no such model": failure(404),
    "wrong key": failure(401),
    "cut": Answer([CUT]),
    "cut in an event": Answer([b'data: {"choices": [{"del', CUT]),
    "nothing": Answer([]),
    "html": Answer([b"<html>Welcome!</html>"]),
    "malformed": Answer([b'data: {"usage": {]\n\n', DONE]),
    "error event": Answer([event({"error": {"message": "lost my memory"}}), DONE]),
    "error body": Answer([b'{"error": {"message": "lost my memory", "code": 500}}']),
    "two errors": Answer([b'data: {"error": 5}\n\ndata: {"error": 6}\n\n']),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", BEFORE_THE_FIRST_WORD)
def test_model_that_fails_before_its_first_word_is_stood_in_for(gateway, upstream, how, stream):
    upstream.script("small", BEFORE_THE_FIRST_WORD[how])

    response = gateway.chat("Hello", stream=stream)

    assert said(response, stream=stream) == "this is large"
    assert where(response) == ("large", "3")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", BEFORE_THE_FIRST_WORD)
def test_nobody_stands_in_for_a_model_the_client_has_named(gateway, upstream, how, stream):
    upstream.script("small", BEFORE_THE_FIRST_WORD[how])

    response = gateway.chat("Hello", model="small", stream=stream)

    assert response.status_code in (502, 503)
    assert response.json()["error"]["type"] == "server_error"
    assert where(response) == ("small", "1")
    assert upstream.requests("large") == []


@pytest.mark.parametrize("stream", [False, True])
def test_when_nobody_is_left_to_stand_in_the_last_failure_is_told(gateway, upstream, stream):
    upstream.script("small", failure(503, "small is tired"))
    upstream.script("large", failure(500, "large is ill"))

    response = gateway.chat("Hello", stream=stream)

    assert response.status_code == 502
    assert response.json()["error"]["message"] == (
        "model 'large' failed with status 500: large is ill"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_wish_of_the_upstream_to_wait_is_passed_on(gateway, upstream, stream):
    upstream.script("small", failure(429, "slow down", Retry_After="7"))

    response = gateway.chat("Hello", model="small", stream=stream)

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "7"
    assert "slow down" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "wish", ["Sat, 21 Nov 2099 12:00:00 GMT", "soon", "-3", "nan", "²", "1e999"]
)
def test_odd_wish_to_wait_breaks_nothing(gateway, upstream, wish):
    upstream.script("small", failure(429, Retry_After=wish))

    response = gateway.chat("Hello", model="small")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusal_by_the_upstream_is_the_client_s_to_mend(gateway, upstream, status, stream):
    upstream.script("small", failure(status, "no such sampler"))

    response = gateway.chat("Hello", stream=stream)

    assert response.status_code == status
    assert response.json()["error"]["message"] == "no such sampler"
    assert upstream.requests("large") == []


async def test_upstream_that_is_not_there_is_a_503_and_stood_in_for():
    with socket.socket() as nowhere:
        nowhere.bind(("127.0.0.1", 0))  # and does not listen; nor can anybody else there
        env = {"OPENAI_API_ENDPOINT": f"http://127.0.0.1:{nowhere.getsockname()[1]}/v1"}
        async with (
            composed_node("openai:far", "echo:near", auto_route=True, env=env) as node,
            client_of(node) as client,
        ):
            routed = await client.post(CHAT, json=chat("Hello"))
            named = await client.post(CHAT, json=chat("Hello", model="far"))

    assert where(routed) == ("near", "3")
    assert named.status_code == 503
    assert named.json()["error"]["message"].startswith("cannot connect to http://127.0.0.1:")


IN_THE_MIDDLE = {
    "cut": [event(chunk("one")), CUT],
    "cut in an event": [event(chunk("one")), b'data: {"choices"', CUT],
    "ended too soon": [event(chunk("one"))],
    "error event": [event(chunk("one")), event({"error": {"message": "lost it"}}), DONE],
    "malformed": [event(chunk("one")), b'data: {"usage": {]\n\n', DONE],
}


@pytest.mark.parametrize("model", ["auto", "small"])
@pytest.mark.parametrize("how", IN_THE_MIDDLE)
def test_stream_that_fails_in_the_middle_ends_with_an_error_and_no_done(
    gateway, upstream, how, model
):
    gate = Gate()
    first, *rest = IN_THE_MIDDLE[how]
    before = failures(gateway, "small", "generation_failed")
    upstream.script("small", Answer([first, gate, *rest]))
    with Caller(gateway.url) as caller:
        caller.ask(chat("Hello", model=model, stream=True))
        response = caller.response()
        line = response.readline()
        gate.open()
        stream = read_events(line + response.read())

    assert (response.status, response.getheader("X-Octomil-Routed-Model")) == (200, "small")
    assert (stream.text, stream.dones) == ("one", 0)
    assert stream.events[-1]["error"]["code"] == "generation_failed"
    assert upstream.requests("large") == []
    assert failures(gateway, "small", "generation_failed") == before + 1


def pieces_of(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


QUIRKS = {
    "byte by byte": pieces_of(b"".join(words("over the sea")), 1),
    "in sevens": pieces_of(b"".join(words("over the sea")), 7),
    "all at once": [b"".join(words("over the sea"))],
    "CRLF": [piece.replace(b"\n", b"\r\n") for piece in words("over the sea")],
    "CRLF in threes": pieces_of(b"".join(words("over the sea")).replace(b"\n", b"\r\n"), 3),
    "comments": [b": ping\n\n" + piece for piece in words("over the sea")],
    "named events": [b"event: message\n" + piece for piece in words("over the sea")],
    "usage null": [
        *(event({**chunk(word), "usage": None}) for word in ("over", " the", " sea")),
        event({**chunk(finish="stop"), "usage": None}),
        event(usage_chunk(3, 3)),
        DONE,
    ],
    "usage with the end": [
        *map(event, map(chunk, ("over", " the", " sea"))),
        event({**usage_chunk(3, 3), **chunk(finish="stop")}),
        DONE,
    ],
    "no usage": [*map(event, map(chunk, ("over the sea",))), event(chunk(finish="stop")), DONE],
    "no done": words("over the sea")[:-1],
    "done without a line end": [*words("over the sea")[:-1], b"data: [DONE]"],
}


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("quirk", QUIRKS)
def test_client_is_spared_the_quirks_of_the_upstream(gateway, upstream, quirk, asked):
    upstream.script("small", Answer(QUIRKS[quirk]))
    options = {"include_usage": asked}

    response = gateway.chat("Hello", model="small", stream=True, stream_options=options)

    stream = read_stream(response)
    assert (stream.text, stream.finish_reasons, stream.dones) == ("over the sea", ["stop"], 1)
    told = [usage["completion_tokens"] for usage in stream.usages]
    assert told == ([3] if asked and quirk != "no usage" else [])


def test_upstream_gets_the_key_and_the_name_it_knows_and_nothing_of_the_client_s(gateway, upstream):
    headers = {"Authorization": "Bearer the-client's-own", "Cookie": "a=b", "X-Model": "small"}

    gateway.post(CHAT, chat("Hello", model="large", temperature=0.5), headers=headers)

    (request,) = upstream.seen
    assert request.headers["authorization"] == "Bearer upstream-key"
    assert not {"cookie", "x-model"} & request.headers.keys()
    assert (request.path, request.body["model"]) == ("/v1/chat/completions", "small")
    assert (request.body["temperature"], request.body["stream"]) == (0.5, False)


# ---- signals ----


def test_sigterm_lets_a_stream_finish_and_nobody_new_in(upstream):
    gate = Gate()
    *most, end = words("over the sea")
    upstream.script("small", Answer([most[0], gate, *most[1:], end]))
    patient = ("--drain-timeout", "600")
    with serving(*TWO, *patient, env=upstream.env) as served, Caller(served.url) as caller:
        with Caller(served.url) as idle:
            idle.ask(chat("Hello", model="large"))
            idle.response().read()
            caller.ask(chat("Hello", model="small", stream=True))
            response = caller.response()
            line = response.readline()
            served.process.send_signal(signal.SIGTERM)
            eventually(lambda: _is_refused(served.url))
            assert idle.socket.recv(1) == b""
        assert served.process.poll() is None

        gate.open()
        stream = read_events(line + response.read())

        assert (stream.text, stream.dones) == ("over the sea", 1)
        assert served.process.wait(120) == 0
        assert "Traceback" not in "\n".join(served.errors)


def _is_refused(url: str) -> bool:
    try:
        with Caller(url):
            return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False


@pytest.mark.parametrize("stream", [False, True])
def test_answer_that_never_ends_is_cut_off_after_the_drain_timeout(upstream, stream):
    gate = Gate()
    upstream.script("small", Answer([event(chunk("one")), gate]))
    with (
        serving("openai:small", "--drain-timeout", "0", env=upstream.env) as served,
        Caller(served.url) as caller,
    ):
        caller.ask(chat("Hello", stream=stream))
        gate.await_waiting()
        response = caller.response() if stream else None
        begun = response.readline() if response else b""
        served.process.send_signal(signal.SIGTERM)

        response = response or caller.response()
        body = response.read()

        assert served.process.wait(120) == 0
        gate.await_hang_up()
    if stream:
        read = read_events(begun + body)
        assert (read.text, read.dones) == ("one", 0)
        error = read.events[-1]["error"]
    else:
        assert response.status == 503
        error = json.loads(body)["error"]
    assert (error["code"], error["message"]) == ("shutting_down", "the server is shutting down")
    assert "Traceback" not in "\n".join(served.errors)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_a_model_loads_ends_the_node_at_once(upstream, number):
    gate = Gate()
    upstream.always("slow", Answer([b"{}"], hold=gate))
    with serving("ollama:slow", env=upstream.env, wait_ready=False) as served:
        url_while_loading(served)
        gate.await_waiting()

        served.process.send_signal(number)

        assert served.process.wait(120) == 0
        gate.await_hang_up()
    assert "Traceback" not in "\n".join(served.errors)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (failure(404), "fetch it with `ollama pull slow`"),
        (failure(500), "answered 500 to /api/show"),
        (Answer([b"<html>"]), "malformed"),
    ],
)
def test_model_that_cannot_be_loaded_ends_the_node_and_says_why(upstream, answer, complaint):
    upstream.always("slow", answer)
    with serving("ollama:slow", env=upstream.env, wait_ready=False) as served:
        assert served.process.wait(120) == 1
    assert complaint in "\n".join(served.errors)


# ---- keys and origins ----


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Authorization: Bearer wrong"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer secretsecret"],
        ["Authorization: Basic secret"],
        ["Authorization: secret"],
        ["X-Api-Key: secret"],
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_caller_without_the_key_is_turned_away_before_its_body_is_read(guarded, path, headers):
    with Caller(guarded.url) as caller:
        caller.send(head(path, 10**7, "Expect: 100-continue", *headers))

        response = caller.response()

        assert response.status == 401
        assert response.getheader("WWW-Authenticate") == "Bearer"
        error = json.loads(response.read())["error"]
        assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
        assert "Authorization: Bearer KEY" in error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/routing/stats", "/v1/queue/stats", "/metrics"])
def test_everything_that_tells_something_asks_for_the_key(guarded, path):
    key = {"Authorization": "Bearer secret"}

    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers=key).status_code == 200


def test_paths_that_are_not_there_ask_for_the_key_too(guarded):
    assert guarded.get("/nothing").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_caller_with_the_key_is_served(guarded, scheme):
    response = guarded.post(CHAT, chat("Hello"), headers={"Authorization": f"{scheme} secret"})

    assert response.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer not-needed"}])
def test_node_without_a_key_takes_any_or_none(echo_server, headers):
    assert echo_server.post(CHAT, chat("Hello"), headers=headers).status_code == 200


# ---- starting ----


def test_port_that_is_taken_is_a_plain_error(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["serve", "echo", "--port", str(port)]) == 1

    error = capsys.readouterr().err
    assert error.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
    assert error.endswith("choose another with --host and --port\n")


@pytest.mark.parametrize(
    ("arguments", "status", "hint"),
    [
        (["srve", "echo"], 2, "did you mean `octomil serve`?"),
        (["serve", "echo", "--auto-rote"], 2, "--auto-route"),
        (["serve", "--model", "echo"], 2, "--models"),
        (["serve", "smollm2-135"], 1, "did you mean smollm2-135m"),
        (["serve", "echo", "--route-strategy", "complex"], 2, "complexity"),
        (["serve", "echo", "--port", "99999"], 2, "0<=x<=65535"),
        (["serve", "echo", "--body-timeout", "0"], 2, "x>0"),
        (["serve"], 1, "name a model to serve"),
        (["serve", "openai:"], 1, "write openai:NAME"),
        (["serve", "echo:a,b"], 1, "no model is called 'b'"),
        (["serve", "--models", "echo:a,ollama:a"], 1, "under one name"),
        (["serve", "echo:auto"], 1, "'auto' is a name of the router's own"),
        (["serve", "echo", "--api-key", ""], 1, "an API key is empty"),
        (["serve", "echo", "--host", ""], 1, "write 0.0.0.0"),
        (["serve", "all-minilm", "--engine", "llama_cpp"], 1, "leave --engine out"),
        (["serve", "registry:churn@1"], 1, "octomil registry pull churn@1"),
    ],
)
def test_slip_on_the_command_line_is_answered_with_the_way_out(arguments, status, hint, capsys):
    assert main([*arguments, "--port", "0"] if "--port" not in arguments else arguments) == status

    error = capsys.readouterr().err
    assert hint in error
    assert "Traceback" not in error


def test_empty_key_in_the_environment_opens_no_node_either(capsys, monkeypatch):
    monkeypatch.setenv("OCTOMIL_SERVE_KEY", "")

    assert main(["serve", "echo", "--port", "0"]) == 1

    assert "an API key is empty" in capsys.readouterr().err


def test_key_of_the_environment_is_asked_for_unless_a_flag_gives_another(capsys):
    env = {"OCTOMIL_SERVE_KEY": "theirs"}
    for flags, key in (((), "theirs"), (("--api-key", "mine"), "mine")):
        with serving("echo", *flags, env=env) as served:
            for given, status in ((key, 200), ("other", 401)):
                headers = {"Authorization": f"Bearer {given}"}
                assert served.get("/v1/models", headers=headers).status_code == status


@pytest.mark.parametrize("name", ["llama3.2:3b", "ollama:llama3.2:3b"])
def test_engine_runs_models_whose_own_names_have_a_colon(name):
    with ollama() as url:
        served_by = ("--engine", "ollama")
        with serving(name, *served_by, env={"OLLAMA_BASE_URL": url}) as served:
            assert served.chat("Hello", model="llama3.2:3b").status_code == 200
