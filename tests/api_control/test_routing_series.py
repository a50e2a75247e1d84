"""What serving nodes report of their routing, over HTTP, and what the series and summary tell."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import drop_leftovers, roll_up_routing
from octomil.control.plane import ControlPlane
from octomil.wire.routing_series import MAX_MINUTES, MAX_ROWS
from support.control import API, WallClock, bearer, client_of, key_of
from support.rollouts import device

SPOOL = "0123456789abcdef" * 2
WRONG: Any = [
    {"requests": -1},
    {"requests": 1.5},
    {"requests": True},
    {"requests": "1"},
    {"requests": 10**8},
    {"errors": 2},
    {"routed": 2},
    {"routed": 1, "routing_us_buckets": []},
    {"routing_us_buckets": [1]},
    {"routing_us_buckets": [0] * 21},
    {"cost_usd": -1e-9},
    {"cost_usd": 1e300},
    {"saved_s": 1.0},
    {"tier": 4},
    {"tier": None},
    {"model": ""},
    {"model": "a\nb"},
    {"model": "a" * 256},
]


def row(**changes: Any) -> dict[str, Any]:
    """One request that was routed to a model within four microseconds."""
    sums = {"requests": 1, "routed": 1, "routing_us": 3, "routing_us_buckets": [0, 0, 1]}
    return {"model": "small", "tier": 1, **sums, **changes}


def minute(clock: WallClock, number: int, *rows: dict[str, Any], ago: float = 0) -> dict[str, Any]:
    start_s = int((clock.now - timedelta(minutes=ago)).timestamp()) // 60 * 60
    return {"number": number, "start_s": start_s, "rows": list(rows) or [row()]}


async def report(
    client: httpx.AsyncClient, device_id: str, *minutes: dict[str, Any], **more: Any
) -> httpx.Response:
    headers = more.pop("headers", {})
    body = {"spool": SPOOL, "minutes": list(minutes), **more}
    return await client.post(f"{API}/devices/{device_id}/routing", json=body, headers=headers)


async def summary(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"{API}/routing/summary", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def series(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"{API}/routing/series", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_number_of_a_spool_counts_once(admin: httpx.AsyncClient, clock: WallClock):
    me, token = await device(admin)
    first = [minute(clock, 1), minute(clock, 3)]
    reports = [first, first, [*first, minute(clock, 4)], [minute(clock, 2)]]

    answers = [await report(admin, me, *each, headers=token) for each in reports]
    other = await report(admin, me, minute(clock, 1), spool="f" * 32, headers=token)

    told = {"device_id": me, "passed_over": 0}
    assert [each.json() for each in answers] == [
        {**told, "number": 3, "counted": 2},
        {**told, "number": 3, "counted": 0},
        {**told, "number": 4, "counted": 1},
        {**told, "number": 4, "counted": 0},
    ]
    assert other.json() == {**told, "number": 1, "counted": 1}
    assert (await summary(admin))["requests"] == 4


async def test_summary_tells_what_all_nodes_did(admin: httpx.AsyncClient, clock: WallClock):
    one, other = (await device(admin))[0], (await device(admin, "box-2"))[0]
    big = row(
        model="big", tier=3, requests=2, errors=1, routed=1, routing_us=9,
        routing_us_buckets=[0, 0, 0, 0, 1], prompt_tokens=40, completion_tokens=20,
        cost_usd=0.25, saved_usd=-0.05, largest_s=2.0, saved_s=-0.5,
    )  # fmt: skip
    small = row(escalations=2, largest_s=8.0, saved_s=6.0, subtasks=1)
    tier0 = row(model="tier0", tier=0, requests=1)
    assert (await report(admin, one, minute(clock, 1, big, small), dropped=3)).status_code == 200
    assert (await report(admin, other, minute(clock, 1, small, tier0))).status_code == 200

    found = await summary(admin)

    assert (found["nodes"], found["dropped_minutes"]) == (2, 3)
    sums = ("requests", "routed", "errors", "escalations", "subtasks", "prompt_tokens",
            "completion_tokens", "cost_usd", "saved_usd", "largest_s", "saved_s")  # fmt: skip
    assert [found[name] for name in sums] == [5, 4, 1, 4, 2, 40, 20, 0.25, -0.05, 18.0, 11.5]
    assert found["routing_us_mean"] == (9 + 3 * 3) / 4
    assert 2 < found["routing_us_p50"] <= 4
    assert 8 < found["routing_us_p99"] <= 16
    assert found["compute_saved_ratio"] == pytest.approx(11.5 / 18)
    shares = {each["name"]: (each["requests"], each["share"]) for each in found["tiers"]}
    assert shares == {
        "deterministic": (1, 0.2), "fast": (2, 0.4), "balanced": (0, 0.0), "quality": (2, 0.4),
    }  # fmt: skip
    models = [(each["model"], each["requests"]) for each in found["models"]]
    assert models == [("big", 2), ("small", 2), ("tier0", 1)]


async def test_series_has_a_point_for_each_step_with_something(
    admin: httpx.AsyncClient, clock: WallClock
):
    one, other = (await device(admin))[0], (await device(admin, "box-2"))[0]
    minutes = [minute(clock, 61 - ago, ago=ago) for ago in (50, 49, 3)]
    assert (await report(admin, one, *minutes)).json()["counted"] == 3
    big = row(model="big", tier=3)
    assert (await report(admin, other, minute(clock, 1, big, ago=3))).json()["counted"] == 1

    whole = await series(admin)
    assert [(each["at"][11:16], each["requests_by_tier"]) for each in whole["points"]] == [
        ("11:10", [0, 1, 0, 0]), ("11:11", [0, 1, 0, 0]), ("11:57", [0, 1, 0, 1]),
    ]  # fmt: skip
    assert (whole["step_s"], whole["since"][11:16], whole["until"][11:16]) == (60, "11:01", "12:01")
    wide = await series(admin, step=600)
    assert [(each["at"][11:16], each["requests"]) for each in wide["points"]] == [
        ("11:10", 2), ("11:50", 2),
    ]  # fmt: skip
    for query in ({"device_id": other}, {"model": "big"}, {"tier": 3}):
        (point,) = (await series(admin, **query))["points"]
        assert (point["at"][11:16], point["requests"]) == ("11:57", 1)
    early = await series(admin, since="2026-11-21T11:10:30Z", until="2026-11-21T11:11:00Z")
    assert [each["at"][11:16] for each in early["points"]] == ["11:10"]


async def test_after_a_day_there_are_hours_and_after_90_days_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    me, _ = await device(admin)
    minutes = [minute(clock, 61 - ago, ago=ago) for ago in (59, 58, 1)]
    assert (await report(admin, me, *minutes)).json()["counted"] == 3
    before = await summary(admin)

    clock.advance(hours=25)
    await roll_up_routing(plane)
    range_ = {"since": "2026-11-21T11:30:00Z", "until": "2026-11-21T12:00:00Z"}
    hours = await series(admin, **range_)
    assert (hours["step_s"], hours["since"][11:16]) == (3600, "11:00")
    assert [(each["at"][11:16], each["requests"]) for each in hours["points"]] == [("11:00", 3)]
    after = await summary(admin, **range_)
    told = {"since", "until"}
    assert {key: after[key] for key in after.keys() - told} == {
        key: before[key] for key in before.keys() - told
    }

    clock.advance(days=90)
    await drop_leftovers(plane)
    assert (await summary(admin, **range_))["requests"] == 0


async def test_what_lies_too_far_back_or_ahead_is_passed_over_and_not_asked_for_again(
    admin: httpx.AsyncClient, clock: WallClock
):
    me, _ = await device(admin)
    week = 7 * 24 * 60
    times = [week + 2, week - 1, 0, -59, -62]
    minutes = [minute(clock, number, ago=ago) for number, ago in enumerate(times, 1)]

    answer = await report(admin, me, *minutes)

    told = {"device_id": me, "number": 5, "counted": 3, "passed_over": 2}
    assert answer.json() == told
    since = {"since": "2026-11-01T00:00:00Z"}
    assert (await summary(admin, **since, until="2027-01-01T00:00:00Z"))["requests"] == 3


@pytest.mark.parametrize("wrong", WRONG)
async def test_counts_that_cannot_be_are_refused_and_count_nothing(
    admin: httpx.AsyncClient, clock: WallClock, wrong: dict[str, Any]
):
    me, _ = await device(admin)
    plain = {"model": "small", "tier": 1, "requests": 1}

    answer = await report(admin, me, minute(clock, 1), minute(clock, 2, {**plain, **wrong}))

    assert answer.status_code == 400, answer.text
    assert (await summary(admin))["requests"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"minutes": []},
        {"spool": "x"},
        {"spool": SPOOL.upper()},
        {"dropped": -1},
        {"minutes": [{"number": 0, "start_s": 60, "rows": [row()]}]},
        {"minutes": [{"number": 2**53, "start_s": 60, "rows": [row()]}]},
        {"minutes": [{"number": 1, "start_s": 61, "rows": [row()]}]},
        {"minutes": [{"number": 1, "start_s": -60, "rows": [row()]}]},
        {"minutes": [{"number": 1, "start_s": 60, "rows": []}]},
        {"minutes": [{"number": 1, "start_s": 60, "rows": [row()] * (MAX_ROWS + 1)}]},
        {"minutes": [{"number": n, "start_s": 60, "rows": [row()]} for n in (2, 1)]},
        {"minutes": [{"number": 1, "start_s": 60, "rows": [row()]}] * 2},
        {"minutes": [
            {"number": n + 1, "start_s": 60, "rows": [row()]} for n in range(MAX_MINUTES + 1)
        ]},
    ],
)  # fmt: skip
async def test_a_report_that_is_none_is_refused(admin: httpx.AsyncClient, change: dict[str, Any]):
    me, _ = await device(admin)
    answer = await report(admin, me, **change)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"step": 61},
        {"step": 0},
        {"step": "1e3"},
        {"tier": 4},
        {"since": "1700000000"},
        {"since": "2026-11-21T12:00:00Z", "until": "2026-11-21T12:00:00Z"},
        {"since": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"since": "2026-11-20T12:00:00Z", "until": "2026-11-21T13:01:00Z"},
        {"model": "a\0"},
    ],
)
async def test_a_range_that_is_none_is_refused(admin: httpx.AsyncClient, query: dict[str, Any]):
    answer = await admin.get(f"{API}/routing/series", params=query)
    assert answer.status_code == 400, answer.text


async def test_the_edges_of_the_calendar_are_no_fault(admin: httpx.AsyncClient):
    edges = {"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-14:00"}
    assert (await series(admin, **edges, step=31 * 86_400))["points"] == []
    assert (await summary(admin, **edges))["requests"] == 0


async def test_a_device_speaks_for_itself_and_a_key_for_its_organisation(
    plane: ControlPlane, admin: httpx.AsyncClient, clock: WallClock
):
    me, token = await device(admin)
    other, _ = await device(admin, "box-2")
    asked = {
        "another device": await report(admin, other, minute(clock, 1), headers=token),
        "a device that is not there": await report(admin, "dev_none", minute(clock, 1)),
    }
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        asked["another organisation"] = await report(stranger, me, minute(clock, 1))
        assert (await summary(stranger))["nodes"] == 0
        of_mine = await stranger.get(f"{API}/routing/series", params={"device_id": me})
        asked["another organisation's series"] = of_mine
    reader = bearer(key_of(plane, "default", "devices:read"))
    asked["a key that may only read"] = await report(admin, me, minute(clock, 1), headers=reader)
    assert (await report(admin, me, minute(clock, 1), headers=token)).status_code == 200
    assert (await report(admin, other, minute(clock, 1))).status_code == 200  # an admin's key

    assert {name: each.status_code for name, each in asked.items()} == {
        "another device": 403,
        "a device that is not there": 404,
        "another organisation": 404,
        "another organisation's series": 404,
        "a key that may only read": 403,
    }
    assert (await summary(admin))["requests"] == 2
