import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.errors import ConfigurationError, EngineUnavailableError, SpendCapReachedError
from octomil.serve.spending import SpendCap, SpendLedger

DAY = "2026-03-01"


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 1, 22, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spending.sqlite3"


@pytest.fixture
def ledger(path):
    ledger = SpendLedger(path)
    yield ledger
    ledger.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cap(ledger, clock):
    return SpendCap(1.0, ledger, now=clock)


def test_what_is_set_aside_leaves_less_room(cap):
    cap.reserve(0.6)

    assert cap.has_room(0.4)
    assert not cap.has_room(0.41)
    with pytest.raises(SpendCapReachedError, match=r"may cost \$0.5000, and \$0.6000 of today's"):
        cap.reserve(0.5)


def test_the_real_cost_takes_the_place_of_what_was_set_aside(cap, ledger):
    cap.settle(cap.reserve(0.9), 0.1)

    assert cap.has_room(0.9)
    assert cap.spent_today_usd() == ledger.spent_usd(DAY) == 0.1


def test_nothing_spent_leaves_no_trace(cap, ledger):
    cap.settle(cap.reserve(0.9), 0.0)

    assert cap.has_room(1.0)
    assert ledger.spent_usd(DAY) == 0


def test_the_next_day_starts_anew(cap, clock):
    cap.settle(cap.reserve(1.0), 1.0)
    with pytest.raises(SpendCapReachedError) as refused:
        cap.reserve(0.01)
    assert refused.value.retry_after_s == timedelta(hours=2).total_seconds()

    clock.now += timedelta(hours=2)

    assert cap.spent_today_usd() == 0
    cap.reserve(1.0)


def test_a_request_over_midnight_costs_the_day_it_began_on(cap, clock, ledger):
    reservation = cap.reserve(0.5)
    clock.now += timedelta(hours=3)

    cap.settle(reservation, 0.4)

    assert ledger.spent_usd(DAY) == 0.4
    assert cap.spent_today_usd() == 0
    assert cap.has_room(1.0)


def test_a_restart_forgets_no_cent(cap, path, clock):
    cap.settle(cap.reserve(0.9), 0.7)

    again = SpendLedger(path)
    try:
        assert not SpendCap(1.0, again, now=clock).has_room(0.4)
    finally:
        again.close()


def test_two_servers_share_the_cap(cap, path, clock):
    other = SpendLedger(path)
    try:
        neighbour = SpendCap(1.0, other, now=clock)
        neighbour.settle(neighbour.reserve(0.8), 0.8)

        assert not cap.has_room(0.3)
    finally:
        other.close()


def test_nothing_may_be_spent_under_a_cap_of_zero(ledger):
    cap = SpendCap(0, ledger)

    assert cap.has_room(0)
    with pytest.raises(SpendCapReachedError):
        cap.reserve(0.000001)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1)), max_size=12))
def test_the_cap_holds_whatever_is_asked_at_once(tmp_path_factory, wishes):
    ledger = SpendLedger(tmp_path_factory.mktemp("spending") / "ledger.sqlite3")
    try:
        cap = SpendCap(1.0, ledger, now=Clock())
        granted = []
        for most, share in wishes:
            try:
                granted.append((cap.reserve(most), most * share))
            except SpendCapReachedError:
                continue
        for reservation, cost in granted:
            cap.settle(reservation, cost)

        assert ledger.spent_usd(DAY) == pytest.approx(sum(cost for _, cost in granted))
        assert cap.spent_today_usd() <= 1.0 + 1e-9
        assert cap.has_room(1.0 - cap.spent_today_usd() - 1e-9)
    finally:
        ledger.close()


def _spend_and_die(path):
    SpendLedger(path).add(DAY, 0.25)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_noted_survives_a_kill(path):
    dying = multiprocessing.get_context("spawn").Process(target=_spend_and_die, args=(path,))
    dying.start()
    dying.join(60)

    ledger = SpendLedger(path)
    try:
        assert dying.exitcode == -signal.SIGKILL
        assert ledger.spent_usd(DAY) == 0.25
    finally:
        ledger.close()


def test_a_cost_that_cannot_be_written_still_counts(cap, ledger, caplog):
    reservation = cap.reserve(0.9)
    ledger._database.execute("DROP TABLE spent")

    cap.settle(reservation, 0.8)

    assert "$0.800000 of 2026-03-01 stay set aside" in caplog.text
    ledger._database.execute("CREATE TABLE spent (day TEXT PRIMARY KEY, usd REAL NOT NULL)")
    assert cap.has_room(0.2)
    assert not cap.has_room(0.21)


def test_a_ledger_that_cannot_be_read_grants_nothing(cap, ledger):
    ledger._database.execute("DROP TABLE spent")

    with pytest.raises(EngineUnavailableError, match="cannot be read: no such table"):
        cap.reserve(0.1)


@pytest.mark.parametrize("usd", [-1, float("nan"), float("inf")])
def test_a_cap_that_makes_no_sense_is_refused(ledger, usd):
    with pytest.raises(ConfigurationError, match="spend cap"):
        SpendCap(usd, ledger)


def test_a_ledger_that_cannot_be_kept_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot keep the spend ledger"):
        SpendLedger(tmp_path / "file" / "ledger.sqlite3")


def test_a_file_that_is_none_is_said_so(tmp_path):
    broken = tmp_path / "ledger.sqlite3"
    broken.write_bytes(b"not a database, and long enough to be read as one" * 100)
    with pytest.raises(ConfigurationError, match="cannot keep the spend ledger"):
        SpendLedger(broken)
