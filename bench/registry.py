"""What the registry's rows cost: written and read through our services, and by the bare driver.

The peer runs the very statements of ours, with the same values, in the same transactions, on a
copy of the same database; a commit waits for the disk on both sides. What ours takes more is the
service, the repositories and SQLAlchemy.
"""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from sqlalchemy import Engine, event

from bench.postgres import database_at, postgres
from bench.report import Row, compare
from octomil.compose_control import DEFAULT_ORGANISATION, assemble, first_admin_key
from octomil.control.identifiers import new_id
from octomil.control.plane import ControlPlane
from octomil.control.records import Model, Version, VersionFile
from octomil.control.scopes import ALL_SCOPES
from octomil.control.services.callers import Caller
from octomil.registry.lifecycle import VersionState
from octomil.wire.models import ModelCreation
from octomil.wire.versions import VersionCreation

COVERS = ("octomil/control", "octomil/registry", "octomil/wire", "octomil/compose_control.py")

MODELS, VERSIONS = 1_000, 10_000
PAGE = 100
IN_FIRST = 1_009
"""So many of the versions are the first model's; the others have nine each."""

_CALLER = Caller(DEFAULT_ORGANISATION, "key:bench", (ALL_SCOPES,))

Statement = tuple[str, Any]
Opened = tuple[ControlPlane, list[Model], "Driver"]


class Driver(Protocol):
    """A connection without anything around it."""

    def run(self, statements: Sequence[Statement]) -> None:
        """Run statements as one transaction, and read what they return."""

    def close(self) -> None:
        """Give the connection back."""


class BareSqlite:
    """Python's own module, set up as our writer is."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")

    def run(self, statements: Sequence[Statement]) -> None:
        """Run statements, the first of which begins the transaction."""
        for text, values in statements:
            self._connection.execute(text, values).fetchall()
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class BarePostgres:
    """psycopg 3."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url)

    def run(self, statements: Sequence[Statement]) -> None:
        """Run statements; the driver begins the transaction by itself."""
        for text, values in statements:
            cursor = self._connection.execute(text, values)
            if cursor.description is not None:
                cursor.fetchall()
        self._connection.commit()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class Recorder:
    """Notes what our engines send while a call is under way."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def __call__(
        self, _connection: Any, _cursor: Any, text: str, values: Any, _context: Any, _many: bool
    ) -> None:
        self.statements.append((text, values))


def fill(plane: ControlPlane) -> list[Model]:
    """Make the models and their versions, each of which has a file; return the models."""
    made = [_model(plane, number) for number in range(MODELS)]
    with plane.store.transaction(DEFAULT_ORGANISATION) as tx:
        for model in made:
            tx.models.add(model)
            for version in _versions(plane, model, IN_FIRST if model is made[0] else 9):
                tx.versions.add(version)
                tx.versions.add_file(version.id, _file(version))
    return made


def calls(plane: ControlPlane, made: Sequence[Model]) -> dict[str, Callable[[int], object]]:
    """Return what is measured; each call is given a number that none of its kind had before."""
    models, versions, rng = plane.models, plane.versions, random.Random(1)

    def some() -> Model:
        return rng.choice(made)

    def listed(offset: int) -> Callable[[int], object]:
        return lambda _: versions.list(_CALLER, made[0].id, state=None, limit=PAGE, offset=offset)

    return {
        "create a version": lambda n: versions.create(
            _CALLER, some().id, VersionCreation(version=f"{n}.1.0")
        ),
        "ensure a model, new": lambda n: models.ensure(_CALLER, ModelCreation(name=f"new-{n}")),
        "ensure a model that is there": lambda _: models.ensure(
            _CALLER, ModelCreation(name=some().name)
        ),
        "get a model": lambda _: models.get(_CALLER, some().id),
        "get a version": lambda _: versions.get(_CALLER, some().id, "5.0.0"),
        "get the latest version": lambda _: versions.latest(_CALLER, some().id),
        f"list {PAGE} versions, first page": listed(0),
        f"list {PAGE} versions, page in the middle": listed(IN_FIRST // 2),
        f"list {PAGE} models, first page": lambda _: models.list(_CALLER, {}, limit=PAGE, offset=0),
        f"list {PAGE} models, last page": lambda _: models.list(
            _CALLER, {}, limit=PAGE, offset=MODELS - PAGE
        ),
    }


def run(quick: bool) -> list[Row]:
    """Fill a database, copy it, and measure on both in turn: on SQLite, then on Postgres."""
    rounds, times = (1, 20) if quick else (3, 200)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as name:
        for database, opened in (("SQLite", _sqlite), ("Postgres", _postgres)):
            folder = Path(name) / database
            folder.mkdir()
            with opened(folder) as (plane, made, bare):
                taken = _measured(calls(plane, made), bare, rounds, times)
            rows += [compare(f"{call}, {database}", "µs", each) for call, each in taken.items()]
    return rows


def _measured(
    asked: Mapping[str, Callable[[int], object]], bare: Driver, rounds: int, times: int
) -> dict[str, dict[str, list[float]]]:
    recorder = Recorder()
    event.listen(Engine, "before_cursor_execute", recorder)
    try:
        return {
            name: _compared(call, recorder, bare, rounds, times) for name, call in asked.items()
        }
    finally:
        event.remove(Engine, "before_cursor_execute", recorder)


def _compared(
    call: Callable[[int], object], recorder: Recorder, bare: Driver, rounds: int, times: int
) -> dict[str, list[float]]:
    """Return the median microseconds of each round, ours and the bare driver's in turn."""
    medians: dict[str, list[float]] = {"ours": [], "peer": []}
    for round_ in range(rounds):
        taken: dict[str, list[float]] = {"ours": [], "peer": []}
        for number in range(times):
            recorder.statements.clear()
            taken["ours"].append(_us(partial(call, round_ * times + number)))
            taken["peer"].append(_us(partial(bare.run, tuple(recorder.statements))))
        for key, values in taken.items():
            medians[key].append(sorted(values)[times // 2])
    return medians


def _us(call: Callable[[], object]) -> float:
    started_s = perf_counter()
    call()
    return (perf_counter() - started_s) * 1e6


@contextmanager
def _sqlite(folder: Path) -> Iterator[Opened]:
    path, copy = folder / "octomil.sqlite3", folder / "copy.sqlite3"
    with _plane(f"sqlite:///{path}", folder) as plane:
        made = fill(plane)
    shutil.copyfile(path, copy)  # what was in the WAL is in it since the last connection closed
    with _plane(f"sqlite:///{path}", folder) as plane, closing(BareSqlite(copy)) as bare:
        yield plane, made, bare


@contextmanager
def _postgres(folder: Path) -> Iterator[Opened]:
    import psycopg

    with postgres() as server, psycopg.connect(server, autocommit=True) as connection:
        ours, copy = database_at(server, "ours"), database_at(server, "bare")
        connection.execute("CREATE DATABASE ours")
        with _plane(ours, folder) as plane:
            made = fill(plane)
        connection.execute("CREATE DATABASE bare TEMPLATE ours")
        with _plane(ours, folder) as plane, closing(BarePostgres(copy)) as bare:
            yield plane, made, bare


@contextmanager
def _plane(url: str, folder: Path) -> Iterator[ControlPlane]:
    plane = assemble(
        database_url=url, blob_url=(folder / "blobs").as_uri(), uploads=folder / "uploads"
    )
    first_admin_key(plane)
    try:
        yield plane
    finally:
        plane.close()


def _model(plane: ControlPlane, number: int) -> Model:
    now = plane.clock()
    return Model(
        id=new_id("mdl", now),
        organisation=DEFAULT_ORGANISATION,
        name=f"model-{number:04}",
        description="of the bench",
        framework="pytorch",
        metadata={},
        created_at=now,
        updated_at=now,
    )


def _versions(plane: ControlPlane, model: Model, number: int) -> Iterator[Version]:
    for each in range(number):
        at = plane.clock() - timedelta(seconds=number - each)
        yield Version(
            id=new_id("ver", at),
            organisation=DEFAULT_ORGANISATION,
            model_id=model.id,
            number=f"{each}.0.0",
            state=VersionState.PUBLISHED,
            metrics={"accuracy": 0.9},
            created_at=at,
            updated_at=at,
            published_at=at,
        )


def _file(version: Version) -> VersionFile:
    return VersionFile(
        format="safetensors",
        digest=random.Random(version.id).randbytes(32).hex(),
        size_bytes=1 << 20,
        origin="original",
        name="model.safetensors",
        created_at=version.created_at,
    )
