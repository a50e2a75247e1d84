"""A control plane: inside the test's own process, or as a process of its own."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from octomil.compose_control import assemble
from octomil.control.app import build_app
from octomil.control.plane import ControlPlane
from octomil.control.records import Organisation
from octomil.control.services.callers import ALL_SCOPES
from octomil.control.stores.catalog import open_store
from support.backends import EchoBackend
from support.serving import ServeProcess, running

API = "/api/v1"
KEY_LINE = "[up] Admin key, shown this once: "


class WallClock:
    """A clock that tells moments, and goes only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass: `advance(seconds=5)`."""
        self.now += timedelta(**by)


@cache
def _empty_database() -> bytes:
    """A database that is up to date, made once: the migrations would take most of a test's time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.sqlite3"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


@contextmanager
def control_plane(
    folder: Path, clock: WallClock | None = None, **options: Any
) -> Iterator[ControlPlane]:
    """A plane over SQLite and a local folder, wired by the real composition root.

    What the folder has already is gone on with; `options` go to the composition root.
    """
    database = folder / "octomil.sqlite3"
    if not database.exists():
        database.write_bytes(_empty_database())
    places = {
        "database_url": f"sqlite:///{database}",
        "blob_url": (folder / "blobs").as_uri(),
        "uploads": folder / "uploads",
        "backends": [EchoBackend()],
    }
    plane = assemble(**places | options, clock=clock or WallClock())
    try:
        yield plane
    finally:
        plane.close()


def key_of(plane: ControlPlane, organisation: str = "default", *scopes: str) -> str:
    """A new key of an organisation, which is made if need be; good for everything by default."""
    with plane.store.system() as tx:
        tx.add_organisation(
            Organisation(id=organisation, name=organisation, created_at=plane.clock())
        )
    _, text = plane.api_keys.create(organisation, "test", scopes or (ALL_SCOPES,), actor="test")
    return text


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def client_of(
    plane: ControlPlane, key: str | None = None, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the plane's application; a fault that escapes it fails the test."""
    transport = httpx.ASGITransport(build_app(plane, **options))
    headers = bearer(key) if key else {}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers=headers
    ) as client:
        yield client


@contextmanager
def upping(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    wait_ready: bool = True,
) -> Iterator[ServeProcess]:
    """Run `octomil up` on a folder until the block ends; `wait_ready` as for `running`."""
    flags = ("--data-dir", str(folder), *arguments)
    with running("up", *flags, env=env, wait_ready=wait_ready) as served:
        yield served


def printed_key(served: ServeProcess) -> str | None:
    """The admin key that a first start printed."""
    found = [line.removeprefix(KEY_LINE) for line in served.lines if line.startswith(KEY_LINE)]
    assert len(found) < 2
    return found[0] if found else None
