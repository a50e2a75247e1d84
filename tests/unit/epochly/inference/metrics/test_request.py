import asyncio
import threading

import pytest

from epochly.inference.metrics import InferenceMetrics, RequestRecorder
from support.manual_clock import ManualClock

PATH = "/v1/chat/completions"


def price(prompt_tokens: int, completion_tokens: int) -> float:
    """A dollar for a prompt token, ten for a generated one."""
    return prompt_tokens + 10.0 * completion_tokens


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock) -> InferenceMetrics:
    return InferenceMetrics(clock=clock)


def start(metrics: InferenceMetrics) -> RequestRecorder:
    return metrics.start_request(PATH, model_id="phi", tenant="acme", price=price)


def outcomes(metrics: InferenceMetrics) -> dict[str, int]:
    by_endpoint = metrics.get_all_metrics()["requests"]["by_endpoint"]
    return by_endpoint[PATH]["outcomes"] if by_endpoint else {}


def test_times_are_those_of_the_request(metrics: InferenceMetrics, clock: ManualClock):
    request = start(metrics)
    clock.advance(0.25)
    request.begin()
    clock.advance(0.5)
    request.begin()
    request.prompt_tokens, request.cached_tokens = 12, 4
    for _ in range(5):
        request.add_tokens()
        clock.advance(0.125)
    clock.advance(1.0)

    assert request.end() is True

    asked = ("phi", "chat")
    assert metrics.queue.read(*asked).total == 0.25
    assert metrics.first_token.read(*asked).total == 0.75
    assert metrics.inter_token.read(*asked).total == 0.125
    assert metrics.generations.read(*asked, "ok").total == 0.75 + 5 * 0.125 + 1.0
    everything = metrics.get_all_metrics()
    assert everything["tokens"] == {"prompt": 12, "cached": 4, "completion": 5}
    assert everything["cost_usd"] == {"acme": 62.0}
    assert everything["requests"]["total"] == 1


def test_only_the_first_end_counts(metrics: InferenceMetrics):
    request = start(metrics)
    request.add_tokens(3)

    assert request.end("cancelled") is True
    assert request.end("ok") is False

    assert outcomes(metrics) == {"cancelled": 1}
    assert metrics.get_all_metrics()["tokens"]["completion"] == 3


def test_ends_from_many_threads_record_once(metrics: InferenceMetrics):
    request, barrier = start(metrics), threading.Barrier(8)
    ended: list[bool] = []

    def end() -> None:
        barrier.wait()
        ended.append(request.end())

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ended) == [False] * 7 + [True]
    assert outcomes(metrics) == {"ok": 1}


def test_requests_in_flight_are_told_until_they_end(metrics: InferenceMetrics):
    first, second = start(metrics), start(metrics)
    assert metrics.get_all_metrics()["requests"]["in_flight"] == 2

    first.end()
    first.end()

    assert metrics.get_all_metrics()["requests"]["in_flight"] == 1
    second.end()
    assert metrics.get_all_metrics()["requests"]["in_flight"] == 0


class RefusedError(Exception):
    code = "queue_full"


class StatusError(Exception):
    code = 503


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (RefusedError(), "queue_full"),
        (StatusError(), "StatusError"),
        (ValueError("no"), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_outcome_is_read_from_what_was_raised(metrics: InferenceMetrics, raised, outcome):
    def serve() -> None:
        with start(metrics) as request:
            request.add_tokens(2)
            raise raised

    with pytest.raises(type(raised)):
        serve()

    assert outcomes(metrics) == {outcome: 1}
    assert metrics.get_all_metrics()["cost_usd"] == {"acme": 20.0}


async def test_stream_that_is_left_keeps_its_tokens_and_its_cost(metrics: InferenceMetrics):
    async def stream():
        with start(metrics) as request:
            request.begin()
            request.prompt_tokens = 7
            while True:
                request.add_tokens()
                yield "token"

    tokens = stream()
    for _ in range(3):
        await anext(tokens)
    await tokens.aclose()

    everything = metrics.get_all_metrics()
    assert outcomes(metrics) == {"cancelled": 1}
    assert everything["tokens"] == {"prompt": 7, "cached": 0, "completion": 3}
    assert everything["cost_usd"] == {"acme": 37.0}


def test_exact_numbers_of_the_engine_hold(metrics: InferenceMetrics):
    with start(metrics) as request:
        request.add_tokens(5)
        request.completion_tokens = 4
        request.cost_usd = 0.5

    everything = metrics.get_all_metrics()
    assert everything["tokens"]["completion"] == 4
    assert everything["cost_usd"] == {"acme": 0.5}


def test_price_that_fails_takes_no_tokens_with_it(metrics: InferenceMetrics):
    def broken(prompt_tokens: int, completion_tokens: int) -> float:
        raise KeyError("phi")

    request = metrics.start_request(PATH, model_id="phi", price=broken)
    request.add_tokens(5)

    with pytest.raises(KeyError):
        request.end()

    everything = metrics.get_all_metrics()
    assert everything["tokens"]["completion"] == 5
    assert (everything["cost_usd"], outcomes(metrics)) == ({}, {"ok": 1})
    assert request.end() is False


def test_request_refused_before_a_model_was_chosen_is_a_request_all_the_same(
    metrics: InferenceMetrics,
):
    metrics.start_request(PATH).end("invalid_json")

    everything = metrics.get_all_metrics()
    assert (outcomes(metrics), everything["inferences"]) == ({"invalid_json": 1}, 0)


def test_model_may_be_chosen_late(metrics: InferenceMetrics):
    request = metrics.start_request(PATH, operation="text_completion", trace_id="ab" * 16)
    request.model_id = "qwen"
    request.end()

    assert metrics.generations.count("qwen", "text_completion", "ok") == 1
    (exemplar,) = metrics.requests.read(PATH, "ok").exemplars.values()
    assert exemplar.identifier == "ab" * 16


def test_one_token_has_no_time_between_tokens(metrics: InferenceMetrics):
    with start(metrics) as request:
        request.add_tokens(1)

    assert metrics.first_token.count("phi", "chat") == 1
    assert metrics.inter_token.series == {}
