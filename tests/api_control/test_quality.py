"""`/inference/quality` and `/inference/regressions` over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from octomil.control.jobs.catalog import drop_leftovers, roll_up_quality
from octomil.control.plane import ControlPlane
from octomil.control.records import QualityRange
from octomil.control.services import quality as quality_service
from support.control import API, WallClock, client_of, key_of
from support.generations import event, quality, told

NEAR = 0.0101


async def generations(
    client: httpx.AsyncClient, clock: WallClock, latencies_ms: list[float], name: str = "g",
    failed: int = 0, **changes: Any,
) -> None:  # fmt: skip
    """Tell of a generation for each latency to the first chunk, a quarter of it between chunks."""
    events = [
        event(f"{name}-{number}", clock, metrics={
            "ttfc_ms": ms, "avg_chunk_latency_ms": ms / 4, "total_chunks": 10,
            "total_duration_ms": ms * 4, "throughput": 1e4 / (ms * 4),
        }, **changes)
        for number, ms in enumerate(latencies_ms)
    ]  # fmt: skip
    events += [
        event(f"{name}-f{number}", clock, event_type="generation_failed", metrics=None, **changes)
        for number in range(failed)
    ]
    for first in range(0, len(events), 500):
        await told(client, *events[first : first + 500])


def drawn(seed: int, number: int, slowdown: float = 0.0) -> list[float]:
    draws = np.random.default_rng(seed).lognormal(5.0, 0.3, number)
    return (draws * (1 + slowdown)).tolist()


async def regressions(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    query = {"model_id": "phi-4-mini", **query}
    answer = await client.get(f"{API}/inference/regressions", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_percentiles_have_the_error_they_state(admin: httpx.AsyncClient, clock: WallClock):
    latencies = drawn(1, 999)
    await generations(admin, clock, latencies)

    report = await quality(admin)

    assert report["relative_error"] == 0.01
    ordered = sorted(latencies)
    assert report["overall"]["ttfc_ms"] == {
        "count": 999,
        "p50": pytest.approx(ordered[499], rel=NEAR),
        "p90": pytest.approx(ordered[899], rel=NEAR),
        "p99": pytest.approx(ordered[989], rel=NEAR),
    }
    assert report["overall"]["avg_chunk_latency_ms"]["p50"] == pytest.approx(
        ordered[499] / 4, rel=NEAR
    )


async def test_the_series_has_a_point_for_each_step_that_has_events(
    admin: httpx.AsyncClient, clock: WallClock
):
    for minutes in (0, 1, 9):
        await generations(admin, clock, [100.0], f"at-{minutes}")
        clock.advance(minutes=minutes + 1)

    window = {"since": "2026-11-21T11:59:30Z", "until": "2026-11-21T12:05:00Z"}
    every_minute = await quality(admin, step=60, **window)
    whole = await quality(admin, step=86_400, **window)

    assert [each["at"] for each in every_minute["series"]] == [
        "2026-11-21T12:00:00+00:00", "2026-11-21T12:01:00+00:00", "2026-11-21T12:03:00+00:00",
    ]  # fmt: skip
    assert every_minute["since"] == "2026-11-21T11:59:00+00:00"
    assert (every_minute["step_s"], whole["step_s"]) == (60, 86_400)
    assert [each["figures"]["completed"] for each in whole["series"]] == [3]


async def test_a_version_and_a_class_can_be_asked_for(admin: httpx.AsyncClient, clock: WallClock):
    for version, device_class, ms in (
        ("1", "low", 400.0),
        ("1", "high", 200.0),
        ("2", "low", 300.0),
    ):
        kind = {"version": version, "device_class": device_class}
        await generations(admin, clock, [ms], version + device_class, **kind)

    for query, expected in (
        ({}, 3), ({"version": "1"}, 2), ({"device_class": "low"}, 2),
        ({"version": "2", "device_class": "low"}, 1), ({"version": "3"}, 0),
    ):  # fmt: skip
        report = await quality(admin, **query)
        assert report["overall"]["completed"] == expected
        assert len(report["groups"]) == expected
    groups = (await quality(admin))["groups"]
    assert [(each["version"], each["device_class"]) for each in groups] == [
        ("1", "high"), ("1", "low"), ("2", "low"),
    ]  # fmt: skip
    assert groups[1]["figures"]["ttfc_ms"]["p50"] == pytest.approx(400, rel=NEAR)


async def test_hours_tell_the_same_as_their_minutes_and_are_kept_for_a_month(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    for number in range(5):
        await generations(admin, clock, drawn(number, 20), f"at-{number}")
        clock.advance(minutes=1)
    window = {"since": "2026-11-21T12:00:00Z", "until": "2026-11-21T13:00:00Z", "step": 3600}
    clock.advance(hours=1)
    before = await quality(admin, **window)
    clock.advance(hours=25)

    await roll_up_quality(plane)
    assert await quality(admin, **window) == before
    assert len((await quality(admin, **window | {"step": 60}))["series"]) == 1

    clock.advance(days=27)
    await drop_leftovers(plane)
    assert (await quality(admin, **window))["overall"] == before["overall"]
    clock.advance(days=3)
    await drop_leftovers(plane)
    with plane.store.snapshot("default") as tx:
        assert list(tx.quality.known()) == []


async def uneven(client: httpx.AsyncClient, clock: WallClock) -> dict[str, str]:
    """Tell of two versions in two hours, at their ends; return a window from amid to amid."""
    for hour, number in ((10, 3), (11, 7)):
        for version in ("1", "2"):
            at_ms = int(clock().replace(hour=hour, minute=45).timestamp() * 1e3)
            kind = {"version": version, "timestamp_ms": at_ms}
            await generations(client, clock, [100.0] * number, f"{version}-{hour}", **kind)
    return {"since": "2026-11-21T10:30:00Z", "until": "2026-11-21T11:30:00Z"}


async def test_of_minutes_that_are_hours_whole_hours_are_told(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    window = await uneven(admin, clock)
    within = await quality(admin, **window, step=1_800, version="1")
    clock.advance(days=3)
    before = await quality(admin, **window, step=1_800, version="1")
    await roll_up_quality(plane)
    after = await quality(admin, **window, step=1_800, version="1")

    assert (within["since"], within["until"]) == (
        "2026-11-21T10:30:00+00:00", "2026-11-21T11:30:00+00:00"
    )  # fmt: skip
    assert (within["step_s"], within["overall"]["completed"]) == (1_800, 3)
    assert (after["since"], after["until"], after["step_s"]) == (
        "2026-11-21T10:00:00+00:00", "2026-11-21T12:00:00+00:00", 3_600
    )  # fmt: skip
    assert [each["figures"]["completed"] for each in after["series"]] == [3, 7]
    assert after == before


async def test_minutes_are_told_apart_for_two_hours(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    for minutes in (0, 1, 89):
        clock.now = clock.now.replace(hour=12, minute=0) + timedelta(minutes=minutes)
        await generations(admin, clock, [100.0], f"at-{minutes}")
    clock.advance(minutes=60)  # it is 14:29
    await roll_up_quality(plane)

    day = await quality(admin)
    two_hours = await quality(admin, since="2026-11-21T12:29:00Z")

    assert day["step_s"] == 3_600
    counts = [(each["at"][11:16], each["figures"]["completed"]) for each in day["series"]]
    assert counts == [("12:00", 2), ("13:00", 1)]
    assert (two_hours["step_s"], two_hours["series"][0]["at"][11:16]) == (60, "13:29")


async def test_minutes_go_only_some_time_after_nobody_asks_for_them(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    for name in ("a", "b"):
        await generations(admin, clock, [100.0], name)
        clock.advance(minutes=1)

    kept = QualityRange(model_id="phi-4-mini", since=clock() - timedelta(days=1), until=clock())
    found = []
    for minute in (1, 4, 6):
        clock.now = clock.now.replace(hour=15, minute=minute)
        await roll_up_quality(plane)
        with plane.store.snapshot("default") as tx:
            found.append(tx.quality.count_stretches(kept))
    assert found == [2, 2, 1]


async def test_more_than_can_be_added_up_while_others_wait_is_refused(
    admin: httpx.AsyncClient, clock: WallClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quality_service, "MAX_STRETCHES", 2)
    for version in ("1", "2", "3"):
        await generations(admin, clock, [100.0], version, version=version)
        clock.advance(minutes=1)

    asked = {"model_id": "phi-4-mini"}
    for path in ("quality", "regressions"):
        answer = await admin.get(f"{API}/inference/{path}", params=asked)
        assert answer.status_code == 400
        assert "3 minutes and hours" in answer.json()["message"]
        assert "one version" in answer.json()["message"]
    assert (await quality(admin, version="2"))["overall"]["completed"] == 1
    (pair,) = (await regressions(admin, version="2"))["comparisons"]
    assert pair["before"] == "1"


async def test_versions_are_compared_over_whole_hours_where_there_are_no_minutes(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    window = await uneven(admin, clock)
    clock.advance(days=3)
    before = await regressions(admin, **window)
    await roll_up_quality(plane)
    after = await regressions(admin, **window)

    assert (after["since"], after["until"]) == (
        "2026-11-21T10:00:00+00:00", "2026-11-21T12:00:00+00:00"
    )  # fmt: skip
    findings = after["comparisons"][0]["findings"]
    assert {each["generations_after"] for each in findings} == {10}
    assert after == before


@pytest.mark.parametrize(
    "query",
    [
        {"model_id": ""},
        {"step": "90"},
        {"step": "30"},
        {"step": "1e2"},
        {"since": "1700000000"},
        {"since": "2026-11-21T12:00:00"},
        {"since": "2026-11-21T12:00:00Z", "until": "2026-11-21T12:00:00Z"},
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    admin: httpx.AsyncClient, query: dict[str, str]
):
    asked = {"model_id": "phi-4-mini", **query}
    answer = await admin.get(f"{API}/inference/quality", params=asked)

    assert answer.status_code == 400, answer.text
    assert any(name in answer.json()["message"] for name in query), answer.text


async def test_times_beyond_all_calendars_are_answered(admin: httpx.AsyncClient):
    report = await quality(admin, since="0001-01-01T00:00:00+14:00", until="9999-12-31T23:59:59Z",
                           step=86_400)  # fmt: skip

    assert report["series"] == []


async def test_a_slower_version_is_flagged_on_the_devices_where_it_is(
    admin: httpx.AsyncClient, clock: WallClock
):
    for version, slowdown in (("1.9.0", 0.0), ("1.10.0", 0.1)):
        for device_class, seed in (("low", 1), ("high", 2)):
            slower = slowdown if device_class == "low" else 0.0
            await generations(
                admin, clock, drawn(seed, 1_000, slower), version + device_class,
                version=version, device_class=device_class,
            )  # fmt: skip

    (found,) = (await regressions(admin))["comparisons"]

    assert (found["before"], found["version"], found["is_regressed"]) == ("1.9.0", "1.10.0", True)
    flagged = [
        (each["device_class"], each["measure"], each["ratio"])
        for each in found["findings"] if each["verdict"] == "regressed"
    ]  # fmt: skip
    ratio = pytest.approx(1.1)
    assert flagged == [("low", "ttfc_ms", ratio), ("low", "avg_chunk_latency_ms", ratio)]


async def test_a_version_that_fails_more_often_is_flagged_and_one_alike_is_not(
    admin: httpx.AsyncClient, clock: WallClock
):
    for number, failed in (("1", 5), ("2", 5), ("3", 100)):
        await generations(admin, clock, drawn(int(number), 500), number, failed, version=number)
        clock.advance(minutes=1)

    report = await regressions(admin)
    only = await regressions(admin, version="2")

    found = {each["version"]: each["is_regressed"] for each in report["comparisons"]}
    assert list(found.items()) == [("3", True), ("2", False)]
    failures = report["comparisons"][0]["findings"][-1]
    assert (failures["measure"], failures["verdict"]) == ("failures", "regressed")
    assert (failures["before"], failures["after"]) == (5 / 505, 100 / 600)
    assert only["comparisons"] == report["comparisons"][1:]


async def test_of_one_version_or_none_there_is_nothing_to_compare(
    admin: httpx.AsyncClient, clock: WallClock
):
    assert (await regressions(admin))["comparisons"] == []
    await generations(admin, clock, [100.0], version="1.0.0")
    assert (await regressions(admin))["comparisons"] == []

    unknown = {"model_id": "phi-4-mini", "version": "2.0.0"}
    answer = await admin.get(f"{API}/inference/regressions", params=unknown)
    assert answer.status_code == 404


async def test_what_others_generate_is_not_told(
    plane: ControlPlane, admin: httpx.AsyncClient, clock: WallClock
):
    for version in ("1.0.0", "2.0.0"):
        await generations(admin, clock, drawn(1, 200), version, version=version)

    async with client_of(plane, key_of(plane, "globex")) as stranger:
        assert (await quality(stranger))["groups"] == []
        assert (await regressions(stranger))["comparisons"] == []
