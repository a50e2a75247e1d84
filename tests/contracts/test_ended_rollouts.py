"""Devices that came to no end with rollouts that are over, on SQLite and on Postgres."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import postgresql, sqlite

from octomil.control.records import Rollout, RolloutDevice
from octomil.control.services import ended_rollouts
from octomil.control.services.ended_rollouts import EndedRollouts
from octomil.control.stores.rollout_devices import unfinished_query
from octomil.control.stores.rollouts import unfinished_query as unfinished_rollouts_query
from octomil.control.stores.sql import SqlStore
from octomil.rollouts.device_states import UNFINISHED, DeviceState
from octomil.rollouts.endings import silent_since
from octomil.rollouts.states import RolloutState
from support.rollout_rows import NOW, at, device, rollout, taken

WITHDRAWN = (RolloutState.ROLLED_BACK, RolloutState.FAILED)
SECOND = timedelta(seconds=1)


def standing(number: int, rollout_id: str, state: DeviceState, since: datetime) -> RolloutDevice:
    made = taken(number, state, rollout_id=rollout_id)
    return replace(made, progress=replace(made.progress, since=since))


def over(number: int, state: RolloutState, **changes: object) -> Rollout:
    return rollout(number, model_id=f"mdl_{number}", progress=at(state, 100), **changes)


def states(store: SqlStore, rollout_id: str) -> list[DeviceState]:
    with store.snapshot("acme") as tx:
        return [each.progress.state for each in tx.rollout_devices.page(rollout_id, None, 99)]


def test_rollouts_that_are_over_are_found_by_their_unfinished_devices(fleet: SqlStore):
    found = []
    with fleet.transaction("acme") as tx:
        for number, state in enumerate(RolloutState, 1):
            made = over(number, state)
            assert tx.rollouts.add(made)
            tx.rollout_devices.put(standing(1, made.id, DeviceState.DOWNLOADING, NOW))
            tx.rollout_devices.put(standing(2, made.id, DeviceState.CONFIRMING, NOW - SECOND))
            if not state.is_open:
                found.append((made.id, NOW - SECOND))
        deleted = over(8, RolloutState.COMPLETED)
        finished = over(9, RolloutState.ROLLED_BACK)
        for made, state in ((deleted, DeviceState.STAGED), (finished, DeviceState.SUCCEEDED)):
            assert tx.rollouts.add(made)
            tx.rollout_devices.put(standing(1, made.id, state, NOW))
        assert tx.rollouts.remove(deleted, NOW)

    with fleet.system_snapshot() as tx:
        left = [(each.id, since) for each, since in tx.offers.unfinished()]
    assert left == [*found, ("rol_8", NOW)]
    assert [each for each, _ in left] == ["rol_4", "rol_5", "rol_6", "rol_8"]


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_each_state_that_is_no_end_is_found(fleet: SqlStore, state: DeviceState):
    made = over(1, RolloutState.FAILED)
    with fleet.transaction("acme") as tx:
        assert tx.rollouts.add(made)
        tx.rollout_devices.put(standing(1, made.id, state, NOW))

    assert EndedRollouts(fleet, lambda: NOW).left() == [made]


@pytest.mark.parametrize("state", WITHDRAWN)
def test_those_of_a_withdrawn_rollout_are_let_go_some_at_a_time(
    fleet: SqlStore, monkeypatch: pytest.MonkeyPatch, state: RolloutState
):
    monkeypatch.setattr(ended_rollouts, "AT_ONCE", 2)
    service, made = EndedRollouts(fleet, lambda: NOW), over(1, state)
    before = [DeviceState.DOWNLOADING, DeviceState.CONFIRMING, DeviceState.FAILED]
    before += [DeviceState.ACTIVATING, DeviceState.SUCCEEDED]
    with fleet.transaction("acme") as tx:
        assert tx.rollouts.add(made)
        for number, each in enumerate(before, 3):
            tx.devices.add(device(number))
            tx.rollout_devices.put(standing(number, made.id, each, NOW - number * SECOND))

    assert service.left() == [made]
    assert service.end_some(made)
    assert states(fleet, made.id).count(DeviceState.SUPERSEDED) == 2
    assert not service.end_some(made)

    let_go, failed, succeeded = DeviceState.SUPERSEDED, DeviceState.FAILED, DeviceState.SUCCEEDED
    assert states(fleet, made.id) == [let_go, let_go, failed, let_go, succeeded]
    assert service.left() == []
    assert not service.end_some(made), "another replica came first"


def test_those_of_a_completed_one_have_their_time_and_then_are_told_apart(fleet: SqlStore):
    """Who is told to run another rollout's version by now has not timed out with this one."""
    made = rollout(1, progress=at(RolloutState.COMPLETED, 100))
    newer = rollout(2, progress=at(RolloutState.COMPLETED, 50), digest="ef" * 32)
    moment = NOW
    service = EndedRollouts(fleet, lambda: moment)
    with fleet.transaction("acme") as tx:
        for each in (made, newer):
            assert tx.rollouts.add(each)
        for number in range(3, 30):
            tx.devices.add(device(number))
            tx.rollout_devices.put(standing(number, made.id, DeviceState.STAGED, NOW))
        tx.rollout_devices.put(standing(1, made.id, DeviceState.CONFIRMING, NOW + SECOND))
        ids = [each.device_id for each in tx.rollout_devices.page(made.id, None, 99)]

    assert service.left() == []
    moment = NOW + (NOW - silent_since(made.plan.health_window_s, NOW))
    assert service.left() == [made]
    assert not service.end_some(made)

    expected = {
        each: DeviceState.SUPERSEDED if newer.offers(each) else DeviceState.TIMED_OUT
        for each in ids
    } | {"dev_acme_1": DeviceState.CONFIRMING}
    assert dict(zip(ids, states(fleet, made.id), strict=True)) == expected
    assert service.left() == [], "the last one has a second left"


def test_a_deleted_one_lets_its_devices_go_although_it_was_completed(fleet: SqlStore):
    made = over(1, RolloutState.COMPLETED)
    with fleet.transaction("acme") as tx:
        assert tx.rollouts.add(made)
        assert tx.rollouts.remove(made, NOW)
        tx.rollout_devices.put(standing(1, made.id, DeviceState.VERIFYING, NOW))

    service = EndedRollouts(fleet, lambda: NOW)
    (left,) = service.left()
    assert not service.end_some(left)

    assert states(fleet, made.id) == [DeviceState.SUPERSEDED]


QUERIES = [unfinished_rollouts_query(), unfinished_query("acme", "rol_1", NOW).limit(500)]
AVOIDED = ("seqscan", "bitmapscan")
"""On few rows Postgres may rightly prefer these; without them it shows whether the index serves."""


@pytest.mark.parametrize("query", QUERIES, ids=["rollouts", "devices"])
def test_they_are_read_along_their_index_and_devices_that_ended_are_not(
    fleet: SqlStore, query: Select[object]
):
    with fleet.system_snapshot() as tx:
        connection = tx._connection
        is_sqlite = connection.dialect.name == "sqlite"
        dialect = (sqlite if is_sqlite else postgresql).dialect()
        statement = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        if not is_sqlite:
            for way in AVOIDED:
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
        words = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = [str(row[-1]) for row in connection.execute(text(f"{words} {statement}"))]

    read = [row for row in rows if "_unfinished" in row or "rollout_devices" in row]
    along = [row for row in read if "ix_rollout_devices_unfinished" in row]
    assert along == read != [], rows
