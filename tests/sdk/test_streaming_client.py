"""`StreamingInferenceClient` against a real control plane, and against one that misbehaves."""

import gc
import weakref
from functools import partial

import httpx
import pytest

from octomil.inference import StreamingInferenceClient
from octomil.inference.event_reporter import EventReporter, ReportCounts
from support.scripted import Answer, problem, scripted
from support.sdk import Place
from support.waiting import PATIENCE_S, eventually

TOGETHER = partial(EventReporter, linger_s=PATIENCE_S)
"""Sends the events of a generation in one request, however slow the machine is."""


def client_of(place: Place, **options) -> StreamingInferenceClient:
    return StreamingInferenceClient(api_key=place.key, api_base=place.served.url, **options)


def told(place: Place, model_id: str) -> dict:
    answer = httpx.get(
        f"{place.served.url}/api/v1/inference/quality", params={"model_id": model_id},
        headers={"authorization": f"Bearer {place.key}"}, timeout=PATIENCE_S,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_control_plane_tells_what_was_measured(place: Place):
    with client_of(place, device_class="server") as client:
        assert list(client.generate("measured", ["a", "b", "c"], version="1.0.0")) == list("abc")
        with pytest.raises(ZeroDivisionError):
            list(client.generate("measured", (1 // 0 for _ in "a"), version="1.0.0"))
        assert client.close(PATIENCE_S)
        assert client.reports == ReportCounts(sent=4)

    report = told(place, "measured")
    counts = [report["overall"][name] for name in ("started", "completed", "failed", "cancelled")]
    assert counts == [2, 1, 1, 0]
    assert report["overall"]["ttfc_ms"]["count"] == 1
    (group,) = report["groups"]
    assert (group["version"], group["device_class"]) == ("1.0.0", "server")


def test_what_is_sent_twice_counts_once(place: Place):
    """As when the answer to a request is lost."""
    sent = []

    def twice(send):
        def send_twice(events):
            send(events)
            send(events)
            sent.extend(events)

        return EventReporter(send_twice)

    with client_of(place, reporter=twice) as client:
        list(client.generate("twice", ["a"]))
        assert client.close(PATIENCE_S)

    assert len(sent) == 2
    assert told(place, "twice")["overall"]["completed"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        problem("service_unavailable", 503),
        problem("internal_error", 500),
        Answer("<html>", 502),
        Answer({}, cut=1),
    ],
)
def test_a_control_plane_that_fails_breaks_no_generation_and_hears_of_it_later(answer: Answer):
    with scripted(answer, Answer({"counted": 2, "repeated": 0, "ignored": 0})) as script:
        client = StreamingInferenceClient(api_key="edg_x", api_base=script.url, reporter=TOGETHER)
        assert list(client.generate("phi", ["a"])) == ["a"]
        assert eventually(lambda: client.flush(0.05))
        assert client.close(PATIENCE_S)

    assert client.reports == ReportCounts(sent=2)
    bodies = [asked.json for asked in script.asked]
    assert bodies[0] == bodies[1]
    assert script.asked[0].path == "/api/v1/inference/events"
    assert script.asked[0].headers["authorization"] == "Bearer edg_x"


def test_a_control_plane_that_is_away_breaks_nothing_and_the_loss_is_counted():
    with StreamingInferenceClient(api_key="edg_x", api_base="http://127.0.0.1:1") as client:
        assert list(client.generate("phi", ["a"])) == ["a"]
        assert not client.close(timeout_s=0.05)

    assert client.reports == ReportCounts(dropped=2)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_client_that_is_dropped_leaves_neither_thread_nor_connection(is_there: bool):
    left: list[weakref.ref[object]] = []

    def watched(send) -> EventReporter:
        made = EventReporter(send)
        left.extend(weakref.ref(each) for each in (made, send.args[0]))
        return made

    with scripted(Answer({"counted": 2, "repeated": 0, "ignored": 0})) as script:
        url = script.url if is_there else "http://127.0.0.1:1"
        client = StreamingInferenceClient(api_key="edg_x", api_base=url, reporter=watched)
        assert list(client.generate("phi", ["a"])) == ["a"]
        del client

        assert eventually(lambda: gc.collect() >= 0 and [ref() for ref in left] == [None, None])

    told_of = [event for asked in script.asked for event in asked.json["events"]]
    assert len(told_of) == 2 * is_there


def test_a_control_plane_that_refuses_breaks_nothing():
    with scripted(problem("unauthorized", 401)) as script:
        refused = {"api_key": "edg_x", "api_base": script.url, "reporter": TOGETHER}
        with StreamingInferenceClient(**refused) as client:
            assert list(client.generate("phi", ["a"])) == ["a"]
            assert client.close(PATIENCE_S)

        assert client.reports == ReportCounts(refused=2)
        assert len(script.asked) == 1
