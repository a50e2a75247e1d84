"""What every store promises about how generations went, on SQLite and on a real Postgres server."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from octomil.control.records import QualityRange, Stretch, Subject
from octomil.control.stores import quality
from octomil.control.stores.sql import SqlStore
from octomil.quality.tallies import Measure, Outcome, Tally, tally_of, together

NOW = datetime(2026, 11, 21, 12, 30, 0, 123456, tzinfo=UTC)
MINUTE = datetime(2026, 11, 21, 12, 29, tzinfo=UTC)
HOUR = timedelta(hours=1)
PHONE = Subject("phi", "1.0.0", "high")
DONE = tally_of(Outcome.COMPLETED, {Measure.TTFC_MS: 120.0, Measure.THROUGHPUT: 40.0})
FAILED = tally_of(Outcome.FAILED, {})


def add(
    store: SqlStore, tally: Tally, subject: Subject = PHONE, minute: datetime = MINUTE,
    owner: str = "acme", now: datetime = NOW,
) -> bool:  # fmt: skip
    with store.transaction(owner) as tx:
        return tx.quality.add(subject, minute, tally, now)


def stretches(store: SqlStore, owner: str = "acme", **asked: Any) -> list[Stretch]:
    kept = {"model_id": "phi", "since": MINUTE - HOUR, "until": MINUTE + HOUR}
    wanted = QualityRange(**kept | asked)
    with store.snapshot(owner) as tx:
        found = list(tx.quality.stretches(wanted))
        assert tx.quality.count_stretches(wanted) == len(found)
    return found


def same(found: Tally, expected: Tally) -> bool:
    """Whether two tallies are the same; what was zero is written down as that."""
    kept = {outcome: number for outcome, number in found.outcomes.items() if number}
    return (kept, found.sketches) == (expected.outcomes, expected.sketches)


def test_an_event_is_claimed_once_by_each_organisation(store: SqlStore):
    with store.transaction("acme") as tx:
        claims = [tx.quality.claim(event, NOW) for event in (b"1" * 16, b"2" * 16, b"1" * 16)]
    with store.transaction("globex") as tx:
        assert tx.quality.claim(b"1" * 16, NOW)

    assert claims == [True, True, False]


def test_what_is_added_to_a_minute_adds_up(store: SqlStore):
    assert all(add(store, each) for each in (DONE, FAILED, DONE))

    (found,) = stretches(store)
    assert (found.subject, found.began_at) == (PHONE, MINUTE)
    assert same(found.tally, together([DONE, FAILED, DONE]))


def test_of_many_that_add_at_once_nothing_is_lost(store: SqlStore):
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: add(store, DONE), range(32)))

    (found,) = stretches(store)
    assert found.tally.number(Outcome.COMPLETED) == 32
    assert found.tally.sketch(Measure.TTFC_MS).count == 32


def test_subjects_and_minutes_are_told_apart_and_come_by_time(store: SqlStore):
    later = MINUTE + timedelta(minutes=1)
    other = Subject("phi", "2.0.0", "low")
    for subject, minute in ((other, later), (PHONE, MINUTE), (Subject("b", "1", "low"), MINUTE)):
        assert add(store, DONE, subject, minute)

    found = [(each.subject, each.began_at) for each in stretches(store)]
    assert found == [(PHONE, MINUTE), (other, later)]
    assert [each.subject for each in stretches(store, since=later)] == [other]
    assert [each.subject for each in stretches(store, until=later)] == [PHONE]
    with store.snapshot("acme") as tx:
        assert [each.subject for each in tx.quality.known("phi")] == [PHONE, other]
        assert [each.subject.model_id for each in tx.quality.known()] == ["b", "phi", "phi"]
        assert {each.first_at for each in tx.quality.known()} == {NOW}


def test_versions_and_a_class_can_be_asked_for(store: SqlStore):
    subjects = [Subject("phi", *kind) for kind in (("1", "low"), ("2", "high"), ("3", "low"))]
    assert all(add(store, DONE, each) for each in subjects)

    def versions(**asked: Any) -> list[str]:
        return sorted(each.subject.version for each in stretches(store, **asked))

    assert versions() == ["1", "2", "3"]
    assert versions(versions=frozenset({"1", "2", "9"})) == ["1", "2"]
    assert versions(versions=frozenset()) == []
    assert versions(device_class="low") == ["1", "3"]
    assert versions(versions=frozenset({"2"}), device_class="low") == []


def test_more_stretches_than_are_read_at_once_come_by_time(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quality, "_READ_AT_ONCE", 2)
    minutes = [MINUTE + timedelta(minutes=number) for number in range(5)]
    assert all(add(store, DONE, minute=each) for each in reversed(minutes))

    assert [each.began_at for each in stretches(store)] == minutes


def test_generations_are_an_organisation_s_own(store: SqlStore):
    assert add(store, DONE)
    assert add(store, FAILED, owner="globex")

    (mine,), (theirs,) = stretches(store), stretches(store, "globex")
    assert same(mine.tally, DONE)
    assert same(theirs.tally, FAILED)


def test_there_is_room_for_so_many_subjects(store: SqlStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quality, "MAX_SUBJECTS", 2)
    subjects = [Subject("phi", number, "low") for number in ("1", "2", "3", "1")]

    assert [add(store, DONE, each) for each in subjects] == [True, True, False, True]
    assert add(store, DONE, subjects[2], owner="globex")
    assert {each.subject.version for each in stretches(store)} == {"1", "2"}


def test_what_was_not_heard_of_for_a_day_makes_room(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(quality, "MAX_SUBJECTS", 2)
    one, two, new, newer = (Subject("phi", number, "low") for number in ("1", "2", "3", "4"))
    for subject in (one, two):
        assert add(store, DONE, subject)
        assert add(store, DONE, subject, owner="globex")

    assert not add(store, DONE, new, now=NOW + 23 * HOUR)
    assert add(store, DONE, one, now=NOW + 25 * HOUR)
    assert add(store, DONE, new, now=NOW + 25 * HOUR)
    assert not add(store, DONE, newer, now=NOW + 25 * HOUR)

    for owner, known in (("acme", [one, new]), ("globex", [one, two])):
        with store.snapshot(owner) as tx:
            assert [each.subject for each in tx.quality.known()] == known
    assert {each.subject for each in stretches(store)} == {one, two, new}


def test_minutes_become_hours_a_few_at_a_time_and_once(store: SqlStore):
    minutes = [MINUTE - timedelta(minutes=number) for number in (0, 1, 2, 60, 61)]
    for owner in ("acme", "globex"):
        for minute in minutes:
            assert add(store, DONE, minute=minute, owner=owner)
    assert add(store, FAILED, minute=NOW.replace(hour=13, minute=0, second=0, microsecond=0))

    rolled = []
    while not rolled or rolled[-1]:
        with store.system() as tx:
            rolled.append(tx.quality_ledger.roll_up(MINUTE + HOUR, 4))

    assert rolled == [4, 4, 2, 0]
    for owner in ("acme", "globex"):
        found = stretches(store, owner, since=MINUTE - 3 * HOUR, until=MINUTE)
        assert [each.began_at.hour for each in found] == [11, 12]
        assert [each.began_at.minute for each in found] == [0, 0]
        assert same(found[0].tally, together([DONE] * 2))
        assert same(found[1].tally, together([DONE] * 3))
    going_on = stretches(store, since=MINUTE, until=NOW + HOUR)
    assert [same(each.tally, FAILED) for each in going_on] == [True]


def test_what_comes_late_is_added_to_its_hour(store: SqlStore):
    for _ in range(2):
        assert add(store, DONE)
        with store.system() as tx:
            assert tx.quality_ledger.roll_up(NOW + HOUR, 10) == 1

    (found,) = stretches(store)
    assert same(found.tally, together([DONE, DONE]))


def test_what_is_old_goes_and_the_young_stays(store: SqlStore):
    old = NOW - 48 * HOUR
    for moment in (old, NOW):
        with store.transaction("acme") as tx:
            assert tx.quality.claim(str(moment.day).encode().ljust(16), moment)
            subject = Subject("phi", str(moment.day), "low")
            assert tx.quality.add(subject, moment.replace(second=0, microsecond=0), DONE, moment)

    with store.system() as tx:
        drops = tx.leftovers.drop_event_claims, tx.leftovers.drop_quality
        dropped = [drop(NOW - HOUR, 10) for drop in (*drops, tx.leftovers.drop_quality_subjects)]

    assert dropped == [1, 1, 1]
    assert [each.subject.version for each in stretches(store)] == ["21"]
    with store.transaction("acme") as tx:
        assert [each.subject.version for each in tx.quality.known()] == ["21"]
        assert tx.quality.claim(b"19".ljust(16), NOW)
        assert not tx.quality.claim(b"21".ljust(16), NOW)


def test_a_subject_that_is_heard_of_again_is_not_dropped(store: SqlStore):
    later = NOW + 3 * HOUR
    assert add(store, DONE)
    with store.transaction("acme") as tx:
        assert tx.quality.add(PHONE, MINUTE, DONE, later)

    with store.system() as tx:
        assert tx.leftovers.drop_quality_subjects(later, 10) == 0
        assert tx.leftovers.drop_quality_subjects(later + HOUR, 10) == 1
