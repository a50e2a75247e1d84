"""`/health`, `/ready`, `/metrics`, and what is answered where there is nothing."""

import io
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from octomil._version import __version__
from octomil.engines.echo import EchoEngine
from octomil.errors import EngineUnavailableError
from octomil.serve.app import build_app
from octomil.serve.request_log import RequestLog
from support.nodes import chat, client_of, composed_node, node_of
from support.prometheus import Metric, read_metrics
from support.serving import ServeProcess, serving
from support.upstream import CUT, Answer, Gate, chunk, event, failure, fake_upstream
from support.waiting import url_while_loading

TRACE = "0af7651916cd43dd8448eb211c80319c"


def metrics(served: ServeProcess) -> dict[str, Metric]:
    response = served.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read_metrics(response.text)


@pytest.fixture(scope="module")
def loading_server() -> Iterator[ServeProcess]:
    """A node whose only model never gets ready."""
    gate = Gate()
    with fake_upstream() as upstream:
        upstream.always("slow", Answer([b"{}"], hold=gate))
        with serving("ollama:slow", env=upstream.env, wait_ready=False) as served:
            served.url = url_while_loading(served)
            gate.await_waiting()
            yield served


def test_healthy_node_tells_how_each_model_fares(echo_server):
    answer = echo_server.get("/health").json()

    assert (answer["status"], answer["version"]) == ("ok", __version__)
    assert answer["models"]["small"] == {"state": "ready", "restarts": 0}


def test_node_that_serves_all_its_models_is_ready(echo_server):
    response = echo_server.get("/ready")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "models": {"small": "ready", "large": "ready"}}


def test_node_that_still_loads_is_healthy_but_not_ready(loading_server):
    health = loading_server.get("/health")
    ready = loading_server.get("/ready")

    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert health.json()["models"]["slow"]["state"] == "loading"
    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "models": {"slow": "loading"}}


@pytest.mark.parametrize("stream", [False, True])
def test_request_to_a_model_that_still_loads_is_told_to_come_back(loading_server, stream):
    response = loading_server.chat("Hello", stream=stream)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "engine_unavailable")
    assert error["message"].startswith("model 'slow' is loading")


def test_everything_else_answers_while_a_model_loads(loading_server):
    assert loading_server.get("/v1/models").json()["data"][0]["id"] == "slow"
    assert loading_server.get("/v1/routing/stats").json()["total_requests"] == 0
    assert metrics(loading_server)["octomil:engine_up"].value(model_name="slow") == 0


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models"])
def test_probes_may_ask_for_the_headers_only(echo_server, path):
    response = httpx.head(echo_server.url + path, timeout=120, verify=False)

    assert (response.status_code, response.content) == (200, b"")


def test_metrics_are_in_prometheus_format_with_a_doc_each(echo_server):
    echo_server.chat("Hello")
    echo_server.chat("Hello", stream=True)

    told = metrics(echo_server)

    assert {name for name in told if not name.startswith("octomil:")} == set()
    assert all(metric.doc.endswith(".") for metric in told.values())
    counters = {name for name, metric in told.items() if metric.kind == "counter"}
    assert {name for name in counters if not name.endswith("_total")} == set()


@pytest.mark.parametrize(
    ("headers", "label"),
    [
        ({"X-Request-Id": "r-1"}, {"request_id": "r-1"}),
        ({"traceparent": f"00-{TRACE}-{'b7' * 8}-01"}, {"trace_id": TRACE}),
        (
            {"X-Request-Id": "r-2", "traceparent": f"00-{TRACE}-{'b7' * 8}-01"},
            {"trace_id": TRACE},
        ),
    ],
)
def test_scraper_that_asks_for_openmetrics_gets_exemplars(echo_server, headers, label):
    body = chat("Hello", stream=True)
    echo_server.post("/v1/chat/completions", body, headers=headers)

    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    response = echo_server.get("/metrics", headers=accept)

    content_type = response.headers["content-type"]
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {f.name: f for f in text_string_to_metric_families(response.text)}
    for name in ("octomil:e2e_request_latency_seconds", "octomil:time_to_first_token_seconds"):
        exemplars = [s.exemplar.labels for s in families[name].samples if s.exemplar]
        assert label in exemplars
        assert {"trace_id": "r-1"} not in exemplars


def test_answers_are_counted_with_their_tokens_and_times(echo_server):
    before = metrics(echo_server)
    echo_server.chat("Hello to you")
    echo_server.chat("Hello to you", stream=True)
    echo_server.chat("Hello to you", max_tokens=1)
    after = metrics(echo_server)

    def grown(name: str, suffix: str = "", **labels: str) -> float:
        now, then = (m[f"octomil:{name}"].value(suffix, **labels) for m in (after, before))
        return now - then

    small = {"model_name": "small"}
    assert grown("request_success_total", **small, finished_reason="stop") == 2
    assert grown("request_success_total", **small, finished_reason="length") == 1
    assert grown("routing_decisions_total", **small, tier="1") == 3
    assert grown("prompt_tokens_total", **small) == 9
    assert grown("generation_tokens_total", **small) == 7
    assert grown("e2e_request_latency_seconds", "_count", **small) == 3
    assert grown("request_queue_time_seconds", "_count", **small) == 3
    assert grown("time_to_first_token_seconds", "_count", **small) == 3
    assert grown("inter_token_latency_seconds", "_count", **small) == 2
    assert grown("routing_latency_seconds", "_count") == 3


def test_tier_zero_counts_as_answered_but_has_no_tokens(echo_server):
    labels = {"model_name": "tier0"}
    before = metrics(echo_server)
    echo_server.chat("What is 2+2?")
    after = metrics(echo_server)

    for name, more in (
        ("request_success_total", {"finished_reason": "stop"}),
        ("routing_decisions_total", {"tier": "0"}),
    ):
        metric = f"octomil:{name}"
        assert after[metric].value(**labels, **more) - before[metric].value(**labels, **more) == 1
    assert after["octomil:generation_tokens_total"].value(**labels) == 0


def test_engines_and_queues_are_gauged(echo_server):
    echo_server.chat("Hello")

    told = metrics(echo_server)

    assert told["octomil:engine_up"].value(model_name="small") == 1
    assert told["octomil:engine_restarts"].value(model_name="small") == 0
    for name in ("num_requests_running", "num_requests_waiting", "engine_slots_busy"):
        assert ("", frozenset({("model_name", "small")})) in told[f"octomil:{name}"].samples


async def test_lines_that_the_log_could_not_take_are_counted():
    async with composed_node("echo:small") as node, client_of(node) as client:
        node.recorder.log = RequestLog(io.StringIO())
        for lines, lost in ((1, 0), (2, 2)):
            for _ in range(lines):
                await client.post("/v1/chat/completions", json=chat("Hello"))
            told = read_metrics((await client.get("/metrics")).text)
            assert told["octomil:log_lines_lost_total"].value() == lost
            node.recorder.log.close()


async def test_model_that_nobody_needed_yet_is_not_told_to_be_down():
    async with composed_node("echo:small") as node, client_of(node) as client:
        told = read_metrics((await client.get("/metrics")).text)["octomil:engine_up"].samples

        assert "all-minilm-l6-v2" in dict(iter(node.pool))
        assert [dict(labels) for _, labels in told] == [{"model_name": "small"}]


class Dying(EchoEngine):
    """Cannot say how busy it is."""

    async def busy(self) -> int:
        raise EngineUnavailableError("cannot connect to http://worker: connection refused")


async def test_engine_that_dies_during_a_scrape_costs_its_own_sample_only():
    engines = {"small": Dying("small"), "large": EchoEngine("large")}
    async with node_of(engines) as node, client_of(node) as client:
        response = await client.get("/metrics")

    assert response.status_code == 200
    busy = read_metrics(response.text)["octomil:engine_slots_busy"].samples
    assert [dict(labels) for _, labels in busy] == [{"model_name": "large"}]


async def failures(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    told = read_metrics((await client.get("/metrics")).text)
    return {
        (dict(labels)["model_name"], dict(labels)["reason"]): value
        for (_, labels), value in told["octomil:request_failure_total"].samples.items()
    }


@pytest.mark.parametrize(
    ("body", "model", "reason"),
    [
        (b"{", "", "invalid_json"),
        (b'{"messages": 5}', "", "invalid_type"),
        (b'{"messages": []}', "", "invalid_value"),
        (b'{"messages": [{"role": "user", "content": "x"}], "model": "?"}', "", "model_not_found"),
        (b"x" * (16 * 2**20 + 1), "", "request_too_large"),
    ],
)
async def test_refused_request_is_counted_by_its_reason(body, model, reason):
    async with composed_node("echo:small", auto_route=True) as node, client_of(node) as client:
        await client.post("/v1/chat/completions", content=body)

        assert await failures(client) == {(model, reason): 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failure(500), "generation_failed"),
        (failure(429), "engine_unavailable"),
        (failure(400, "bad"), "invalid_request"),
        (Answer([event(chunk("a")), CUT]), "generation_failed"),
        (Answer([event({"error": {"message": "lost"}})]), "generation_failed"),
    ],
)
async def test_failed_request_is_counted_by_its_reason(answer, reason, stream):
    with fake_upstream() as upstream:
        upstream.always("small", answer)
        async with (
            composed_node("openai:small", env=upstream.env) as node,
            client_of(node) as client,
        ):
            await client.post("/v1/chat/completions", json=chat("Hello", stream=stream))

            assert await failures(client) == {("small", reason): 1}
            told = read_metrics((await client.get("/metrics")).text)
            assert told["octomil:request_success_total"].samples == {}
            assert (
                told["octomil:e2e_request_latency_seconds"].value("_count", model_name="small") == 1
            )


async def test_fault_of_ours_is_a_500_in_openai_s_form_and_counted(caplog):
    async with composed_node("echo:small", auto_route=True) as node, client_of(node) as client:
        node.pool["small"].engine.stream = None  # as broken as can be

        response = await client.post("/v1/chat/completions", json=chat("Hello"))

        assert response.status_code == 500
        assert response.json()["error"] == {
            "message": "the server failed on this request; its log says why",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        }
        assert await failures(client) == {("small", "internal_error"): 1}
    assert "TypeError" in caplog.text


async def test_embeddings_are_counted_too():
    async with composed_node("echo:small") as node, client_of(node) as client:
        await client.post("/v1/embeddings", json={"model": "small", "input": "one two"})
        await client.post("/v1/embeddings", json={"model": "?", "input": "one two"})
        told = read_metrics((await client.get("/metrics")).text)

        assert (
            told["octomil:request_success_total"].value(model_name="small", finished_reason="stop")
            == 1
        )
        assert told["octomil:prompt_tokens_total"].value(model_name="small") == 2
        assert await failures(client) == {("", "model_not_found"): 1}


def in_openai_s_form(response: httpx.Response) -> dict:
    assert response.headers["content-type"] == "application/json"
    assert response.json() != {"detail": "Not Found"}
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v2/models"),
        ("POST", "/v1/images/generations"),
        ("DELETE", "/nothing/here"),
        ("GET", "/docs"),
        ("GET", "//v1/models"),
        ("GET", "/v1/%00%ff"),
    ],
)
def test_unknown_path_is_a_404_that_names_it(echo_server, method, path):
    response = httpx.request(method, echo_server.url + path, timeout=120, verify=False)

    assert response.status_code == 404
    error = in_openai_s_form(response)
    assert error["code"] == "not_found"
    assert error["message"].startswith(f"there is no {method} /")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", {"POST"}),
        ("PUT", "/v1/completions", {"POST"}),
        ("DELETE", "/v1/embeddings", {"POST"}),
        ("OPTIONS", "/v1/chat/completions", {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("DELETE", "/v1/models/small", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("PATCH", "/metrics", {"GET", "HEAD"}),
    ],
)
def test_wrong_method_is_a_405_that_names_the_right_ones(echo_server, method, path, allowed):
    response = httpx.request(method, echo_server.url + path, timeout=120, verify=False)

    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == allowed
    error = in_openai_s_form(response)
    assert error["code"] == "method_not_allowed"
    assert error["message"] == f"{method} is not allowed on {path}"


class Silent(EchoEngine):
    """An engine that cannot say how busy it is."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name)
        self._error = error

    async def busy(self) -> int:
        raise self._error


async def test_metrics_are_told_also_while_one_engine_is_dying():
    engines = {
        "small": Silent("small", EngineUnavailableError("gone")),
        "large": EchoEngine("large"),
    }
    async with node_of(engines) as node, client_of(node) as client:
        response = await client.get("/metrics")

    assert response.status_code == 200
    busy = read_metrics(response.text)["octomil:engine_slots_busy"]
    assert set(busy.samples) == {("", frozenset({("model_name", "large")}))}


async def test_fault_that_nobody_foresaw_is_told_in_openai_s_form():
    async with node_of({"small": Silent("small", ZeroDivisionError())}) as node:
        transport = httpx.ASGITransport(build_app(node), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            response = await client.get("/metrics")

    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["error"] == {
        "message": "the server failed on this request; its log says why",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
