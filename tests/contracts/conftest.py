"""What a contract is checked on: real databases, folders and object stores."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.records import Organisation
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from support.azure import CONTAINER, PROGRAM, azure_server
from support.control import WallClock, control_plane
from support.postgres import fresh_database
from support.rollout_rows import device
from support.s3 import BUCKET

_BUCKETS = ("s3", "gs", *(["az"] if PROGRAM in os.environ else []))
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


@pytest.fixture
def fleet(store: SqlStore) -> Iterator[SqlStore]:
    """Two organisations with two devices each."""
    for owner in ("acme", "globex"):
        with store.transaction(owner) as tx:
            for number in (1, 2):
                assert tx.devices.add(device(number, owner))
    return store


@pytest.fixture
def clock() -> WallClock:
    """The time of all replicas."""
    return WallClock()


@pytest.fixture
def replicas(postgres: str, tmp_path: Path, clock: WallClock) -> Iterator[list[ControlPlane]]:
    """Two control planes on one Postgres."""
    with ExitStack() as stack:
        options = {
            "database_url": stack.enter_context(fresh_database(postgres)),
            "webhooks_private": True,
        }
        yield [stack.enter_context(control_plane(tmp_path, clock, **options)) for _ in range(2)]


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to Azure's emulator."""
    with azure_server(tmp_path_factory.mktemp("azure") / "server.log") as variables:
        yield variables


@pytest.fixture(params=_BUCKETS)
def bucket_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An empty place in a bucket."""
    return _place_in_bucket(request, tmp_path, monkeypatch)


@pytest.fixture(params=["local", *_BUCKETS])
def blob_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An empty place for blobs, in a folder or a bucket."""
    if request.param == "local":
        return (tmp_path / "blobs").as_uri()
    return _place_in_bucket(request, tmp_path, monkeypatch)


def _place_in_bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return the URL of a place of the test's own; the way there is in the environment."""
    server, bucket = ("azure", CONTAINER) if request.param == "az" else ("s3", BUCKET)
    for name, value in request.getfixturevalue(server).items():
        monkeypatch.setenv(name, value)
    return f"{request.param}://{bucket}/{tmp_path.name}"
