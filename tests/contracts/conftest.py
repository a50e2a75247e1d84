"""The stores that a contract is checked on: SQLite, and a real Postgres server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from octomil.control.records import Organisation
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from support.postgres import fresh_database

_MADE_AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/octomil.sqlite3"
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """A store with the organisations `acme` and `globex`."""
    store = open_store(url)
    with store.system() as tx:
        for name in ("acme", "globex"):
            assert tx.add_organisation(Organisation(id=name, name=name, created_at=_MADE_AT))
    yield store
    store.close()
