import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.errors import ConfigurationError, EngineUnavailableError, SpendCapReachedError
from octomil.serve.spend_ledger import SpendLedger
from octomil.serve.spending import SpendCap

DAY = "2026-03-01"


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 1, 22, tzinfo=UTC)

    def __call__(self):
        return self.now

    def seconds(self):
        return self.now.timestamp()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spending.sqlite3"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cap(path, clock):
    with closing(cap_on(path, clock)) as cap:
        yield cap


def cap_on(path, clock, usd=1.0):
    """The cap of one node; another on the same path is another node."""
    return SpendCap(usd, SpendLedger(path), now=clock, clock=clock.seconds)


async def test_what_is_set_aside_leaves_less_room(cap):
    await cap.reserve(0.6)

    assert cap.has_room(0.4)
    assert not cap.has_room(0.41)
    with pytest.raises(SpendCapReachedError, match=r"may cost \$0.5000, and \$0.6000 of today's"):
        await cap.reserve(0.5)


async def test_the_real_cost_takes_the_place_of_what_was_set_aside(cap):
    cap.settle(await cap.reserve(0.9), 0.1)

    assert cap.has_room(0.9)
    assert await cap.spent_today_usd() == 0.1
    assert cap.has_room(0.9)


async def test_nothing_spent_leaves_no_trace(cap):
    cap.settle(await cap.reserve(0.9), 0.0)

    assert await cap.spent_today_usd() == 0
    assert cap.has_room(1.0)


async def test_the_next_day_starts_anew(cap, clock):
    cap.settle(await cap.reserve(1.0), 1.0)
    with pytest.raises(SpendCapReachedError) as refused:
        await cap.reserve(0.01)
    assert refused.value.retry_after_s == timedelta(hours=2).total_seconds()

    clock.now += timedelta(hours=2)

    assert cap.has_room(1.0)
    assert await cap.spent_today_usd() == 0
    await cap.reserve(1.0)


async def test_a_request_over_midnight_costs_the_day_it_began_on(cap, clock, path):
    reservation = await cap.reserve(0.5)
    clock.now += timedelta(hours=3)

    cap.settle(reservation, 0.4)

    assert await cap.spent_today_usd() == 0
    assert cap.has_room(1.0)
    with closing(SpendLedger(path)) as ledger:
        assert ledger.spent_usd(DAY) == 0.4


async def test_a_restart_forgets_no_cent(path, clock):
    for usd, has_room in ((0.7, True), (0.0, False)):
        with closing(cap_on(path, clock)) as cap:
            assert cap.has_room(0.4) == has_room
            if usd:
                cap.settle(await cap.reserve(0.9), usd)


async def test_two_nodes_cannot_exceed_the_cap_together(cap, path, clock):
    with closing(cap_on(path, clock)) as neighbour:
        theirs = await neighbour.reserve(0.9)
        with pytest.raises(SpendCapReachedError, match=r"and \$0.9000 of today's \$1 are"):
            await cap.reserve(0.9)

        neighbour.settle(theirs, 0.8)
        await neighbour.spent_today_usd()

        cap.settle(await cap.reserve(0.2), 0.2)
        with pytest.raises(SpendCapReachedError):
            await neighbour.reserve(0.001)
    assert await cap.spent_today_usd() == pytest.approx(1.0)


async def test_what_another_node_spends_is_seen_a_second_later(cap, path, clock):
    with closing(cap_on(path, clock)) as neighbour:
        await neighbour.reserve(0.8)
    assert cap.has_room(0.3)

    clock.now += timedelta(seconds=2)
    cap.has_room(0.3)
    await cap.spent_today_usd()

    assert not cap.has_room(0.3)


async def test_nothing_may_be_spent_under_a_cap_of_zero(path, clock):
    with closing(cap_on(path, clock, usd=0)) as cap:
        assert cap.has_room(0)
        with pytest.raises(SpendCapReachedError):
            await cap.reserve(0.000001)


async def test_who_is_refused_first_on_a_day_is_told_of(cap, clock):
    told = []
    cap.when_reached = lambda: told.append(clock.now.day)
    for _ in range(2):
        for _ in range(2):
            with pytest.raises(SpendCapReachedError):
                await cap.reserve(1.01)
        clock.now += timedelta(days=1)

    assert told == [1, 2]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1)), max_size=12))
async def test_the_cap_holds_whatever_is_asked_at_once(tmp_path_factory, wishes):
    path, clock = tmp_path_factory.mktemp("spending") / "ledger.sqlite3", Clock()
    with closing(cap_on(path, clock)) as cap, closing(cap_on(path, clock)) as neighbour:
        granted = []
        for place, (most, share) in enumerate(wishes):
            node = (cap, neighbour)[place % 2]
            try:
                granted.append((node, await node.reserve(most), most * share))
            except SpendCapReachedError:
                continue
        for node, reservation, cost in granted:
            node.settle(reservation, cost)
        for node in (cap, neighbour):
            spent_usd = await node.spent_today_usd()

        await cap.reserve(0)  # looks again
        assert spent_usd == pytest.approx(sum(cost for _, _, cost in granted))
        assert spent_usd <= 1.0 + 1e-9
        assert cap.has_room(1.0 - spent_usd - 1e-9)


async def test_whoever_gives_up_waiting_has_nothing_set_aside(cap, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(cap.reserve(0.4)) for _ in range(2)]
        await asyncio.sleep(0)  # both have asked: one is being worked on, one waits
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        neighbour.execute("ROLLBACK")

    await cap.spent_today_usd()  # what was asked before is done
    cap.settle(await cap.reserve(1.0), 0.0)

    assert all(task.cancelled() for task in waiting)


async def test_nothing_stays_set_aside_for_who_gives_up_while_the_node_stops(path, clock):
    cap = cap_on(path, clock)
    with closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(cap.reserve(0.4))
        await asyncio.sleep(0)
        waiting.cancel()
        closing_down = asyncio.create_task(asyncio.to_thread(cap.close))
        await asyncio.gather(waiting, return_exceptions=True)
        neighbour.execute("ROLLBACK")
        await closing_down

    with closing(cap_on(path, clock)) as again:
        assert again.has_room(1.0)


async def test_a_ledger_that_another_node_writes_keeps_the_loop_running(cap, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        reserving = asyncio.create_task(cap.reserve(0.4))
        await asyncio.sleep(0)
        assert cap.has_room(0.4)  # nobody waits for an answer
        assert not reserving.done()
        neighbour.execute("ROLLBACK")

    cap.settle(await reserving, 0.4)
    assert await cap.spent_today_usd() == 0.4


async def test_all_who_wait_for_a_ledger_that_stays_locked_are_told_together(path):
    tried = []

    class Locked(SpendLedger):
        def reserve(self, day, usd, *, cap_usd):
            tried.append(usd)
            return super().reserve(day, usd, cap_usd=cap_usd)

    cap = SpendCap(1.0, Locked(path, busy_timeout_s=0.1))
    with closing(cap), closing(sqlite3.connect(path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        waiting = await asyncio.gather(
            *(cap.reserve(0.01) for _ in range(50)), return_exceptions=True
        )
        neighbour.execute("ROLLBACK")
        cap.settle(await cap.reserve(1.0), 0.0)

    assert {type(error) for error in waiting} == {EngineUnavailableError}
    assert tried == [0.01, 1.0]


async def test_a_cost_that_cannot_be_written_still_counts_and_is_written_later(cap, caplog):
    reservation = await cap.reserve(0.9)
    database = cap._ledger._database
    database.execute("ALTER TABLE spent RENAME TO lost")

    cap.settle(reservation, 0.8)
    with pytest.raises(EngineUnavailableError):
        await cap.spent_today_usd()

    assert "$0.900000 of 2026-03-01 stay set aside until they can be settled" in caplog.text
    assert not cap.has_room(0)
    database.execute("ALTER TABLE lost RENAME TO spent")
    await cap.reserve(0.2)
    assert await cap.spent_today_usd() == 0.8
    assert not cap.has_room(0.01)


async def test_a_cost_that_is_never_written_stays_set_aside(path, clock, caplog):
    cap = cap_on(path, clock)
    reservation = await cap.reserve(0.9)
    cap._ledger._database.execute("ALTER TABLE spent RENAME TO lost")
    cap.settle(reservation, 0.8)
    cap.close()

    assert "$0.900000 of 2026-03-01 stay set aside for good" in caplog.text
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE lost RENAME TO spent")
    with closing(cap_on(path, clock)) as again:
        assert (again.has_room(0.1), again.has_room(0.11)) == (True, False)


async def test_a_node_that_has_stopped_asks_for_nothing_more(path, clock, caplog):
    cap = cap_on(path, clock)
    reservation = await cap.reserve(0.9)
    cap.close()

    with pytest.raises(EngineUnavailableError, match="closed"):
        await cap.reserve(0.1)
    cap.settle(reservation, 0.1)

    assert "$0.900000 of 2026-03-01 stay set aside: the node has stopped" in caplog.text
    with closing(cap_on(path, clock)) as again:
        assert (again.has_room(0.1), again.has_room(0.11)) == (True, False)


async def test_a_ledger_that_cannot_be_read_grants_nothing(cap):
    cap._ledger._database.execute("DROP TABLE spent")

    with pytest.raises(EngineUnavailableError, match="cannot be used: no such table"):
        await cap.reserve(0.1)
    assert not cap.has_room(0)


@pytest.mark.parametrize("usd", [-1, float("nan"), float("inf")])
def test_a_cap_that_makes_no_sense_is_refused(path, clock, usd):
    with (
        closing(SpendLedger(path)) as ledger,
        pytest.raises(ConfigurationError, match="spend cap"),
    ):
        SpendCap(usd, ledger)
