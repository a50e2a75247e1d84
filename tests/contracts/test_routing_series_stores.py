"""What every store promises about the series of routing, on SQLite and on a real Postgres."""

from datetime import UTC, datetime, timedelta

import pytest

from octomil.control.records import RoutingKey, RoutingRange, RoutingSums
from octomil.control.records.routing_series import OTHER_MODELS
from octomil.control.stores.routing_series import MAX_KEYS, MAX_SPOOLS
from octomil.control.stores.sql import SqlStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR_S = int(NOW.timestamp())
"""The beginning of an hour."""
ALWAYS = RoutingRange(since_s=0, until_s=2**40)
FAST, BIG = RoutingKey("small", 1), RoutingKey("big", 3)


def did(requests: int = 1, **sums: float) -> RoutingSums:
    """Each request was routed in three microseconds."""
    buckets = (0, 0, requests, *[0] * 17)
    counted = {"requests": requests, "routed": requests, "routing_us": 3 * requests, **sums}
    return RoutingSums(**counted, routing_us_buckets=buckets)


def test_sums_add_up_by_step_and_tier(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        series = tx.routing_series
        series.add("dev_acme_1", HOUR_S, {FAST: did(2, cost_usd=0.5), BIG: did(errors=1)})
        series.add("dev_acme_1", HOUR_S, {FAST: did(3, saved_s=-0.25, largest_s=1.5)})
        series.add("dev_acme_2", HOUR_S + 60, {FAST: did(completion_tokens=7)})

    with fleet.snapshot("acme") as tx:
        by_minute = tx.routing_series.over_time(ALWAYS, 60)
        by_hour = tx.routing_series.over_time(ALWAYS, 3600)
        by_model = tx.routing_series.by_model(ALWAYS)
        nodes = tx.routing_series.nodes(ALWAYS)

    assert [(each.start_s, each.key.tier, each.sums.requests) for each in by_minute] == [
        (HOUR_S, 1, 5), (HOUR_S, 3, 1), (HOUR_S + 60, 1, 1),
    ]  # fmt: skip
    whole = did(6, cost_usd=0.5, saved_s=-0.25, largest_s=1.5, completion_tokens=7)
    assert [each.sums for each in by_hour] == [whole, did(errors=1)]
    assert {each.key: each.sums for each in by_model} == {FAST: whole, BIG: did(errors=1)}
    assert nodes == 2


def test_a_range_is_of_one_node_model_and_tier_and_ends_before_its_end(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for number in (1, 2):
            tx.routing_series.add(f"dev_acme_{number}", HOUR_S, {FAST: did(), BIG: did()})
            tx.routing_series.add(f"dev_acme_{number}", HOUR_S + 60, {FAST: did()})

    def requests(**wanted: object) -> int:
        asked = RoutingRange(**{"since_s": HOUR_S, "until_s": HOUR_S + 120} | wanted)
        with fleet.snapshot("acme") as tx:
            return sum(each.sums.requests for each in tx.routing_series.by_model(asked))

    assert requests() == 6
    assert requests(until_s=HOUR_S + 60) == 4
    assert requests(since_s=HOUR_S + 1) == 2
    assert requests(device_id="dev_acme_1") == 3
    assert requests(model="big") == requests(tier=3) == 2
    assert requests(tier=0) == 0


def test_nothing_is_another_organisations(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        tx.routing_series.add("dev_acme_1", HOUR_S, {FAST: did()})
        tx.routing_series.move("dev_acme_1", "a" * 32, 7, 3, NOW)

    with fleet.snapshot("globex") as tx:
        series = tx.routing_series
        assert (series.over_time(ALWAYS, 60), series.by_model(ALWAYS)) == ([], [])
        assert (series.nodes(ALWAYS), series.dropped()) == (0, 0)
        assert series.position("dev_acme_1", "a" * 32) == 0


def test_spools_have_a_position_each_and_the_oldest_go(fleet: SqlStore):
    names = [f"{number:032x}" for number in range(MAX_SPOOLS + 1)]
    with fleet.transaction("acme") as tx:
        for number, name in enumerate(names, 1):
            now = NOW + timedelta(seconds=number)
            tx.routing_series.move("dev_acme_1", name, number, 1, now)
        tx.routing_series.move("dev_acme_1", names[-1], 2**53 - 1, 5, NOW + timedelta(hours=1))
        tx.routing_series.move("dev_acme_2", names[0], 4, 0, NOW)

    with fleet.snapshot("acme") as tx:
        positions = [tx.routing_series.position("dev_acme_1", name) for name in names]
        assert positions == [0, *range(2, MAX_SPOOLS + 1), 2**53 - 1]
        assert tx.routing_series.position("dev_acme_2", names[0]) == 4
        assert tx.routing_series.dropped() == MAX_SPOOLS - 1 + 5


def test_minutes_become_hours_and_no_request_is_lost_or_doubled(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for minute in range(0, 180, 10):
            tx.routing_series.add("dev_acme_1", HOUR_S + 60 * minute, {FAST: did(), BIG: did(2)})
    with fleet.transaction("globex") as tx:
        tx.routing_series.add("dev_globex_1", HOUR_S, {FAST: did(9)})

    rolled_up = []
    for _ in range(3):
        with fleet.system() as tx:
            rolled_up.append(tx.routing_hours.roll_up(HOUR_S + 7200, 2))
    with fleet.transaction("acme") as tx:  # a node that was offline tells of it later
        tx.routing_series.add("dev_acme_1", HOUR_S + 60, {FAST: did()})
    with fleet.system() as tx:
        rolled_up.append(tx.routing_hours.roll_up(HOUR_S + 7200, 2))

    assert rolled_up == [2, 1, 0, 1]
    with fleet.snapshot("acme") as tx:
        found = [(each.start_s, each.key.tier, each.sums) for each in
                 tx.routing_series.over_time(ALWAYS, 60)]  # fmt: skip
    hours = [(HOUR_S, 1, did(7)), (HOUR_S, 3, did(12)), (HOUR_S + 3600, 1, did(6)),
             (HOUR_S + 3600, 3, did(12))]  # fmt: skip
    assert found[:4] == hours
    assert len(found[4:]) == 12, "the last hour is there by minutes"
    with fleet.snapshot("globex") as tx:
        assert [each.sums for each in tx.routing_series.by_model(ALWAYS)] == [did(9)]


@pytest.mark.parametrize("at_once", [1, 200])
def test_what_there_is_no_room_for_is_kept_together(fleet: SqlStore, at_once: int):
    keys = [RoutingKey(f"model-{number:03}", 1) for number in range(200)]
    with fleet.transaction("acme") as tx:
        for first in range(0, 200, at_once):
            some = {key: did() for key in keys[first : first + at_once]}
            tx.routing_series.add("dev_acme_1", HOUR_S, some)
            tx.routing_series.add("dev_acme_1", HOUR_S + 60, dict.fromkeys(keys[:1], did()))
        tx.routing_series.add("dev_acme_1", HOUR_S + 60, {RoutingKey("new", 3): did()})
    with fleet.system() as tx:
        assert tx.routing_hours.roll_up(HOUR_S + 3600, 9) == 1

    with fleet.snapshot("acme") as tx:
        found = {each.key: each.sums.requests for each in tx.routing_series.by_model(ALWAYS)}
    assert sum(found.values()) == 200 + 200 // at_once + 1
    assert found[RoutingKey(OTHER_MODELS, 1)] >= 200 - MAX_KEYS
    assert len(found) <= MAX_KEYS + 2


def test_what_is_old_is_dropped(fleet: SqlStore):
    with fleet.transaction("acme") as tx:
        for minute in range(3):
            tx.routing_series.add("dev_acme_1", HOUR_S + 60 * minute, {FAST: did()})
        tx.routing_series.move("dev_acme_1", "a" * 32, 1, 0, NOW)
        tx.routing_series.move("dev_acme_2", "b" * 32, 2, 0, NOW + timedelta(hours=1))

    with fleet.system() as tx:
        dropped = [tx.leftovers.drop_routing(HOUR_S + 120, 1) for _ in range(3)]
        assert tx.leftovers.drop_routing_spools(NOW + timedelta(minutes=1), 9) == 1
    assert dropped == [1, 1, 0]
    with fleet.snapshot("acme") as tx:
        (left,) = tx.routing_series.over_time(ALWAYS, 60)
        assert left.start_s == HOUR_S + 120
        assert tx.routing_series.position("dev_acme_1", "a" * 32) == 0
        assert tx.routing_series.position("dev_acme_2", "b" * 32) == 2
