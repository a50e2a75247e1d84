"""What a Postgres server can do that a file cannot: deadlock, hang, vanish while it commits."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DataError, DBAPIError

from octomil.control.ports import OutcomeUnknownError, StoreBusyError, StoreUnreachableError
from octomil.control.records import EMPTY_PROFILE, Act, Device, Organisation
from octomil.control.stores import patience
from octomil.control.stores.catalog import open_store
from octomil.control.stores.postgres import WRITERS_KEY, open_engines
from octomil.control.stores.sql import SqlStore, SqlTransaction
from octomil.control.threads import ServiceThreads
from support.postgres import fresh_database
from support.stopped import closed_database, stopped_postgres
from support.waiting import eventually

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACT = Act(actor="key:k", operation="device.tag", target="dev_1", details={})
DEVICE = Device(
    id="dev_1",
    organisation="acme",
    identifier="hospital-1",
    profile=EMPTY_PROFILE,
    generation=0,
    created_at=NOW,
    updated_at=NOW,
)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    with store.system() as tx:
        tx.add_organisation(Organisation(id="acme", name="acme", created_at=NOW))
    with store.transaction("acme") as tx:
        tx.devices.add(DEVICE)
    yield store
    store.close()


def tag(store: SqlStore, **labels: str) -> None:
    with store.transaction("acme") as tx:
        tx.devices.tag("dev_1", labels, (), NOW)
        tx.audit.append(ACT, NOW)


def somebody_waits(url: str) -> bool:
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        (waiting,) = connection.execute(query).fetchone()
    return waiting > 0


async def test_two_replicas_that_write_in_groups_do_not_run_into_a_deadlock(url: str, store):
    """One has the audit and wants the device; the other has the device and wants the audit."""
    other = open_store(url)
    replicas = [ServiceThreads(each.group) for each in (store, other)]
    go_on, has_audit = threading.Event(), threading.Event()
    runs: list[str] = []

    def note_only() -> None:
        runs.append("note")
        with store.transaction("acme") as tx:
            tx.audit.append(ACT, NOW)
        has_audit.set()
        eventually(lambda: somebody_waits(url))

    def tag_here() -> None:
        runs.append("here")
        tag(store, ward="a")

    def tag_there() -> None:
        runs.append("there")
        tag(other, ward="b")

    try:
        head = asyncio.ensure_future(replicas[0].write(go_on.wait, 120))
        await asyncio.sleep(0)  # it is under way, so that the next two form a group
        group = [asyncio.ensure_future(replicas[0].write(call)) for call in (note_only, tag_here)]
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.to_thread(has_audit.wait, 120)
        await asyncio.gather(head, *group, replicas[1].write(tag_there))
    finally:
        for each in replicas:
            each.close()
        other.close()

    assert sorted(runs) == ["here", "note", "there"]
    with store.snapshot("acme") as tx:
        assert tx.audit.verify() == 3


def test_a_server_that_stands_still_is_not_waited_for_without_end(url, store, monkeypatch):
    monkeypatch.setattr(patience.PatientConnection, "patience_s", 0.2)
    with (
        stopped_postgres(url),
        pytest.raises(StoreUnreachableError),
        store.transaction("acme") as tx,
    ):
        tx.devices.get("dev_1")
    monkeypatch.undo()

    tag(store, ward="a")  # on a connection of its own
    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_1").labels == {"ward": "a"}


def at_commit(url: str, act: str) -> None:
    """Let the server do something to whoever commits a change of a device."""
    with psycopg.connect(url) as connection:
        connection.execute(
            f"CREATE FUNCTION act() RETURNS trigger AS 'BEGIN {act}; RETURN NULL; END'"
            " LANGUAGE plpgsql"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER act AFTER UPDATE ON devices DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION act()"
        )


async def test_what_was_lost_while_it_was_committed_is_not_done_again(url: str, store: SqlStore):
    at_commit(url, "PERFORM pg_terminate_backend(pg_backend_pid())")
    threads = ServiceThreads(store.group)
    runs: list[str] = []

    def write() -> None:
        runs.append("")
        tag(store, ward="a")

    try:
        calls = [threads.write(write) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        threads.close()

    assert [type(each) for each in results] == [OutcomeUnknownError] * 3
    assert len(runs) == 3


async def test_what_another_transaction_stood_in_the_way_of_is_done_again(url, store: SqlStore):
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SEQUENCE tries")
    conflict = "RAISE EXCEPTION SQLSTATE ''40001''"
    at_commit(url, f"IF nextval(''tries'') < 3 THEN {conflict}; END IF")
    threads = ServiceThreads(store.group)
    try:
        await threads.write(tag, store, ward="a")
    finally:
        threads.close()

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_1").labels == {"ward": "a"}


def test_what_the_driver_says_is_the_cause_and_not_told(url: str, store: SqlStore):
    with (
        closed_database(url) as name,
        pytest.raises(StoreUnreachableError) as refusal,
        store.snapshot("acme") as tx,
    ):
        tx.devices.get("dev_1")

    told = str(refusal.value)
    assert told == "the database cannot be used now: it does not answer; try again in a moment"
    assert name in str(refusal.value.__cause__)


def test_an_audit_is_read_piece_by_piece(store: SqlStore):
    with store.transaction("acme") as tx:
        for _ in range(3):
            tx.audit.append(ACT, NOW)

    with store.snapshot("acme") as tx:
        entries = tx.audit.entries()
        next(entries)
        look = tx.audit._connection.exec_driver_sql("SELECT count(*) FROM pg_cursors")
        at_the_server = look.scalar_one()
        rest = len(list(entries))

    assert (at_the_server, rest) == (1, 2)


def test_a_statement_that_makes_no_sense_is_our_own_fault(url: str, store: SqlStore):
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE attestations")

    with pytest.raises(Exception, match="does not exist"), store.snapshot("acme") as tx:
        tx.attestations.counts("m", {"d"})


async def test_a_read_that_is_refused_takes_no_write_of_its_group_along(store: SqlStore):
    threads = ServiceThreads(store.group)

    def read_nonsense() -> None:
        with store.snapshot("acme") as tx:
            divide_by_zero(tx)

    try:
        calls = [
            threads.write(tag, store, ward="before"),
            threads.write(read_nonsense),
            threads.write(tag, store, ward="after"),
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        threads.close()

    assert [type(each) for each in results] == [type(None), DataError, type(None)]
    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_1").labels == {"ward": "after"}
        assert tx.audit.verify() == 2


def divide_by_zero(tx: SqlTransaction) -> None:
    tx.connection.exec_driver_sql("SELECT 1 / 0")


def test_a_change_whose_part_was_refused_is_not_said_to_be_made(store: SqlStore):
    def write() -> None:
        with store.transaction("acme") as tx:
            tx.devices.tag("dev_1", {"ward": "a"}, (), NOW)
            with suppress(DBAPIError):
                divide_by_zero(tx)

    with pytest.raises(RuntimeError, match="nothing of its transaction stays"):
        write()
    tag(store, ward="b")  # on a sound connection


async def test_whoever_cannot_have_its_turn_is_told_and_the_rest_with_it(url: str):
    """One time-out is waited for, and not one by each call."""
    store = open_store(f"{url}&options=-c%20lock_timeout%3D50ms")
    threads = ServiceThreads(store.group)
    runs: list[str] = []

    def write() -> None:
        runs.append("")
        with store.transaction("acme"):
            runs.append("begun")

    try:
        with psycopg.connect(url) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({WRITERS_KEY})")
            calls = [threads.write(write) for _ in range(4)]
            results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        threads.close()
        store.close()

    assert [type(each) for each in results] == [StoreBusyError] * 4
    assert runs == []


def test_what_the_url_says_goes_before_what_is_set_here(url: str):
    engines = open_engines(make_url(f"{url}&application_name=ours&connect_timeout=3"))
    try:
        with engines.writer.connect() as connection:
            name = connection.exec_driver_sql("SHOW application_name").scalar_one()
            driver = connection.connection.driver_connection
            parameters = driver.info.get_parameters()
    finally:
        engines.dispose()

    assert name == "ours"
    assert parameters["connect_timeout"] == "3"
    assert parameters["keepalives_idle"] == "5"
