"""`POST /inference/events`: what clients tell of generations counts once, whoever tells it."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.stores import quality as quality_store
from support.control import API, WallClock, client_of, key_of
from support.generations import EVENTS, PUBLISHED, event, quality, told
from support.prometheus import read_metrics

TYPES = ("generation_started", "generation_completed", "generation_failed", "generation_cancelled")
ONE = {"counted": 1, "repeated": 0, "ignored": 0}
NOTHING = {
    "started": 0, "completed": 0, "failed": 0, "cancelled": 0, "ttfc_ms": None,
    "avg_chunk_latency_ms": None, "total_duration_ms": None, "throughput": None,
}  # fmt: skip


def only(value: float) -> dict[str, Any]:
    """The percentiles of one value."""
    near = pytest.approx(value, rel=0.0101)
    return {"count": 1, "p50": near, "p90": near, "p99": near}


async def test_what_the_published_client_sends_is_counted_and_measured(
    admin: httpx.AsyncClient, clock: WallClock
):
    answer = await admin.post(EVENTS, json=event("a", clock))

    assert (answer.status_code, answer.json()) == (200, ONE)
    assert (await quality(admin))["overall"] == NOTHING | {
        "completed": 1,
        "ttfc_ms": only(120.0),
        "avg_chunk_latency_ms": only(5.0),  # which follows from the rest
        "total_duration_ms": only(620.0),
        "throughput": only(162.9),
    }


@pytest.mark.parametrize("event_type", TYPES)
async def test_each_type_is_counted(admin: httpx.AsyncClient, clock: WallClock, event_type: str):
    assert await told(admin, event("a", clock, event_type=event_type, metrics=None)) == ONE

    outcome = event_type.removeprefix("generation_")
    assert (await quality(admin))["overall"] == NOTHING | {outcome: 1}


async def test_an_event_counts_once_however_often_it_comes(
    admin: httpx.AsyncClient, clock: WallClock
):
    events = [event("a", clock, event_type=kind) for kind in TYPES[:2]] * 2

    first = await told(admin, *events, event("b", clock))
    clock.advance(hours=47)
    again = await told(admin, *events, event("c", clock))

    assert first == {"counted": 3, "repeated": 2, "ignored": 0}
    assert again == {"counted": 1, "repeated": 4, "ignored": 0}
    counts = (await quality(admin, since="2026-11-21T00:00:00Z"))["overall"]
    assert (counts["started"], counts["completed"]) == (1, 3)


async def test_an_event_of_a_type_of_another_time_is_taken_and_not_counted(
    admin: httpx.AsyncClient, clock: WallClock
):
    """The published client breaks off a generation whose event is refused."""
    answer = await told(admin, event("a", clock, event_type="chunk_produced", extra=[1]))

    assert answer == {"counted": 0, "repeated": 0, "ignored": 1}
    assert (await quality(admin))["overall"] == NOTHING


@pytest.mark.parametrize("late_s", [-(10**9), -86_401, 301, 10**9])
async def test_a_clock_that_cannot_be_right_is_not_believed(
    admin: httpx.AsyncClient, clock: WallClock, late_s: int
):
    at_ms = int((clock().timestamp() + late_s) * 1e3)
    assert await told(admin, event("a", clock, timestamp_ms=at_ms)) == ONE

    (point,) = (await quality(admin, until=_in(clock, minutes=2)))["series"]
    assert point["at"] == "2026-11-21T12:00:00+00:00"


async def test_what_comes_late_is_counted_when_it_happened(
    admin: httpx.AsyncClient, clock: WallClock
):
    late = event("a", clock)
    clock.advance(hours=3)
    assert await told(admin, late, event("b", clock)) == ONE | {"counted": 2}

    points = (await quality(admin, until=_in(clock, minutes=1)))["series"]
    assert [point["at"][11:16] for point in points] == ["12:00", "15:00"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session_id", ""),
        ("session_id", "a\u0000b"),
        ("model_id", "x" * 256),
        ("model_id", None),
        ("version", 1),
        ("event_type", "Generation Started"),
        ("event_type", "x" * 65),
        ("timestamp_ms", -1),
        ("timestamp_ms", 2**53),
        ("timestamp_ms", "now"),
        ("device_class", "huge"),
        ("metrics", [1]),
        ("metrics.ttfc_ms", -0.1),
        ("metrics.ttfc_ms", 1e300),
        ("metrics.ttfc_ms", "12"),
        ("metrics.ttfc_ms", True),
        ("metrics.total_chunks", 1.5),
        ("metrics.throughput", {"a": 1}),
    ],
)
async def test_a_value_that_makes_no_sense_is_refused_by_name_and_nothing_is_counted(
    admin: httpx.AsyncClient, clock: WallClock, field: str, value: Any
):
    outer, _, inner = field.partition(".")
    bad = event("b", clock, **{outer: {inner: value} if inner else value})

    answer = await admin.post(EVENTS, json={"events": [event("a", clock), bad]})

    assert answer.status_code == 422, answer.text
    names = [each["field"] for each in answer.json()["details"]["fields"]]
    assert any(name.startswith(f"events.1.{field}") for name in names), names
    assert (await quality(admin))["overall"] == NOTHING


@pytest.mark.parametrize("body", ["[]", "null", '{"events": []}', '{"events": {}}', "{}", "7"])
async def test_a_body_of_another_form_is_refused(admin: httpx.AsyncClient, body: str):
    answer = await admin.post(EVENTS, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_a_number_that_is_none_is_no_json(admin: httpx.AsyncClient, number: str):
    body = f'{{"model_id": "a", "session_id": "b", "timestamp_ms": {number}}}'
    answer = await admin.post(EVENTS, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400, answer.text


async def test_so_many_events_may_come_at_once(admin: httpx.AsyncClient, clock: WallClock):
    events = [event(str(number), clock) for number in range(501)]

    assert await told(admin, *events[:500]) == ONE | {"counted": 500}
    assert (await admin.post(EVENTS, json={"events": events})).status_code == 422


async def test_the_device_class_is_the_profile_s_if_the_event_has_none(
    admin: httpx.AsyncClient, clock: WallClock
):
    made = await admin.post(f"{API}/devices/register", json={"device_identifier": "box-1"})
    device_id = made.json()["id"]
    profile = {"platform": "linux", "total_memory_mb": 4096, "accelerator": "cpu", "models": []}
    assert (await admin.put(f"{API}/devices/{device_id}/profile", json=profile)).is_success

    await told(
        admin,
        event("a", clock, device_id=device_id),
        event("b", clock, device_id=device_id, device_class="server"),
        event("c", clock, device_id="somebody"),
    )

    groups = (await quality(admin))["groups"]
    assert [each["device_class"] for each in groups] == ["mid", "server", "unknown"]


async def test_events_are_the_key_s_organisation_s_whatever_they_say(
    plane: ControlPlane, admin: httpx.AsyncClient, clock: WallClock
):
    """The published client says `default` unless it is told better, and breaks if refused."""
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        assert await told(stranger, event("a", clock)) == ONE
        assert (await quality(stranger))["overall"]["completed"] == 1
    assert (await quality(admin))["overall"] == NOTHING
    assert await told(admin, event("a", clock)) == ONE  # whose sessions are others


async def test_a_key_without_the_scope_is_refused(
    plane: ControlPlane, anybody: httpx.AsyncClient, clock: WallClock
):
    assert (await anybody.post(EVENTS, json=event("a", clock))).status_code == 401
    async with client_of(plane, key_of(plane, "default", "models:read")) as reader:
        assert (await reader.post(EVENTS, json=event("a", clock))).status_code == 403
        assert (await quality(reader))["overall"] == NOTHING


async def test_metrics_show_what_was_counted_once(admin: httpx.AsyncClient, clock: WallClock):
    started = event("a", clock, event_type="generation_started", metrics=None)
    for _ in range(2):
        await told(admin, started, event("a", clock))

    metrics = read_metrics((await admin.get("/metrics")).text)
    labels = {"model": "phi-4-mini", "version": "1.0.0", "device_class": "unknown"}
    counts = metrics["octomil:control_generations_total"]
    assert counts.value(**labels, outcome="started") == 1
    assert counts.value(**labels, outcome="completed") == 1
    first = metrics["octomil:control_generation_first_chunk_seconds"]
    assert first.value("_sum", **labels) == pytest.approx(0.12)
    assert first.value("_count", **labels) == 1


async def test_made_up_models_of_one_organisation_take_no_room_from_another(
    plane: ControlPlane, admin: httpx.AsyncClient, clock: WallClock
):
    await told(admin, event("a", clock))
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        junk = [event(str(number), clock, model_id=f"junk-{number:03}") for number in range(300)]
        assert await told(stranger, *junk) == ONE | {"counted": 300}
    await told(admin, event("b", clock, model_id="new"))

    metrics = read_metrics((await admin.get("/metrics")).text)
    times = metrics["octomil:control_generation_first_chunk_seconds"]
    kind = {"version": "1.0.0", "device_class": "unknown"}
    models = ("phi-4-mini", "new", "junk-299", "junk-000")
    assert [times.value("_count", model=model, **kind) for model in models] == [1, 1, 1, 0]


async def test_metrics_show_what_was_ignored(
    admin: httpx.AsyncClient, clock: WallClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quality_store, "MAX_SUBJECTS", 1)
    found = await told(
        admin,
        event("a", clock),
        event("b", clock, event_type="chunk_produced"),
        event("c", clock, version="2.0.0"),
        event("d", clock, version="2.0.0"),
    )

    assert found == {"counted": 1, "repeated": 0, "ignored": 3}
    metrics = read_metrics((await admin.get("/metrics")).text)
    ignored = metrics["octomil:control_generation_events_ignored_total"]
    assert (ignored.value(reason="unknown_type"), ignored.value(reason="no_room")) == (1, 2)


def test_the_published_example_has_all_that_the_published_client_sends():
    assert set(PUBLISHED) | {"timestamp_ms"} == {
        "device_id", "model_id", "version", "modality", "session_id", "event_type",
        "timestamp_ms", "org_id", "metrics",
    }  # fmt: skip


def _in(clock: WallClock, **by: float) -> str:
    return (clock() + timedelta(**by)).isoformat()
