"""Lists of devices walk along an index, whatever is asked for: nothing is sorted or scanned."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from octomil.control.records import DeviceFilter, Organisation
from octomil.control.stores.catalog import open_store
from octomil.control.stores.device_lists import device_tags, page_query
from octomil.control.stores.device_table import devices
from octomil.control.stores.sql import SqlStore
from support.postgres import fresh_database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROWS = 20_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[SqlStore]:
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("lists")
        yield from filled(f"sqlite:///{folder}/x.sqlite3")
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield from filled(url)


def filled(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    with store.system() as tx:
        for name in ("acme", "globex"):
            tx.add_organisation(Organisation(id=name, name=name, created_at=NOW))
        tx._connection.execute(insert(devices), [row(number) for number in range(ROWS)])
        tags = [(f"label:site=s{n % 100}", n) for n in range(ROWS)]
        tags += [(f"group:g{n % 2}", n) for n in range(ROWS)]
        tx._connection.execute(
            insert(device_tags),
            [{"organisation": "acme", "tag": tag, "device_id": f"dev_{n:06}"} for tag, n in tags],
        )
        if tx._connection.dialect.name == "postgresql":  # which does so by itself; SQLite does not
            tx._connection.execute(text("ANALYZE"))
    yield store
    store.close()


def row(number: int) -> dict[str, object]:
    moment = NOW - timedelta(seconds=number)
    return {
        "id": f"dev_{number:06}", "organisation": "acme", "identifier": f"box-{number:06}",
        "platform": ("ios", "android", "linux", "rare")[min(number % 7, 3)], "metadata": {},
        "capabilities": {}, "generation": 0, "created_at": moment, "updated_at": moment,
        "last_seen_at": moment, "labels": {}, "groups": [],
    }  # fmt: skip


AVOIDED = ("seqscan", "sort", "hashjoin", "mergejoin", "bitmapscan")
"""On so few rows Postgres may rightly prefer these; what it does without them shows whether the
indexes are enough. Where they are not, it does them all the same."""


def plan(connection: Connection, wanted: DeviceFilter, after: list[object] | None) -> str:
    is_sqlite = connection.dialect.name == "sqlite"
    dialect = (sqlite if is_sqlite else postgresql).dialect()
    query = page_query("acme", wanted, after).limit(101)
    statement = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    if not is_sqlite:
        for way in AVOIDED:
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
    words = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
    return "\n".join(str(found[-1]) for found in connection.execute(text(f"{words} {statement}")))


MIDDLE = {"id": ["dev_010000"], "identifier": ["box-010000", "dev_010000"],
          "last_seen": [NOW - timedelta(seconds=10_000), "dev_010000"]}  # fmt: skip


@pytest.mark.parametrize(
    "wanted",
    [
        DeviceFilter(),
        DeviceFilter(platform="rare"),
        DeviceFilter(platform="ios"),
        DeviceFilter(labels={"site": "s7"}),
        DeviceFilter(labels={"site": "s7"}, group="g1"),
        DeviceFilter(group="g1"),
        DeviceFilter(text="box-01"),
        DeviceFilter(seen_before=NOW - timedelta(seconds=100)),
        DeviceFilter(seen_after=NOW - timedelta(seconds=100)),
        DeviceFilter(seen_before=NOW, group="g1"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_page_is_read_along_an_index(store: SqlStore, wanted: DeviceFilter, is_first: bool):
    with store.system_snapshot() as tx:
        found = plan(tx._connection, wanted, None if is_first else MIDDLE[wanted.order])

    for word in ("SCAN devices", "SCAN device_tags", "TEMP B-TREE", "Seq Scan", "Sort"):
        assert word not in found, found
    assert "ix" in found.lower() or "pk" in found.lower() or "index" in found.lower(), found


def test_every_page_of_a_walk_is_what_a_list_of_all_would_be(store: SqlStore):
    wanted, after, found = DeviceFilter(group="g1", platform="rare"), None, []
    with store.snapshot("acme") as tx:
        while page := tx.devices.page(wanted, after, 500):
            found += [device.id for device in page]
            after = [page[-1].id]

    expected = [f"dev_{n:06}" for n in range(ROWS) if n % 2 and min(n % 7, 3) == 3]
    assert found == expected[::-1]
