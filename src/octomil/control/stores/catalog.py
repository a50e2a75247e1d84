"""Which database a URL means, connected to and brought up to date."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from octomil.control.stores import postgres, sqlite
from octomil.control.stores.engines import Engines
from octomil.control.stores.revisions import bring_up_to_date, require_up_to_date
from octomil.control.stores.sql import SqlStore
from octomil.errors import ConfigurationError, DataFolderError

FORMAT_VERSION = "1"
_FORMAT = "format_version"


def open_store(url: str, *, upgrade: bool = True) -> SqlStore:
    """Open the database at `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.

    Args:
        url: where it is.
        upgrade: bring it up to date; else one that is not is refused, and nothing is written.

    Raises:
        ConfigurationError: the URL makes no sense, or the database cannot be reached.
        DataFolderError: a newer Octomil wrote the database.
    """
    parsed = _parse(url)
    engines, lock = _connect(parsed)
    try:
        with engines.writer.connect() as connection, lock(connection):
            if upgrade:
                bring_up_to_date(connection)
            else:
                require_up_to_date(connection)
        store = SqlStore(engines)
        _check_format(store, may_write=upgrade)
    except DBAPIError as error:
        engines.dispose()
        shown = parsed.render_as_string(hide_password=True)
        raise ConfigurationError(f"the database {shown} cannot be used: {error.orig}") from error
    except BaseException:
        engines.dispose()
        raise
    return store


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:  # its text might show the password
        raise ConfigurationError(
            "DATABASE_URL is no URL of a database; write postgresql://USER:PASSWORD@HOST/NAME"
        ) from None


def _connect(url: URL) -> tuple[Engines, Callable[[Connection], AbstractContextManager[object]]]:
    """Return the way to a database, and the lock under which it is brought up to date."""
    match url.get_backend_name():
        case "sqlite" if url.database:
            path = Path(url.database).absolute()
            return sqlite.open_engines(path), lambda _connection: sqlite.migration_lock(path)
        case "sqlite":
            raise ConfigurationError("a SQLite database needs a file: write sqlite:////PATH")
        case "postgresql" | "postgres":
            return postgres.open_engines(url), postgres.migration_lock
        case other:
            raise ConfigurationError(
                f"databases of kind {other!r} are not supported; use sqlite or postgresql"
            )


def _check_format(store: SqlStore, *, may_write: bool) -> None:
    with store.system() if may_write else store.system_snapshot() as tx:
        found = tx.setting(_FORMAT)
        if found is None and may_write:
            tx.put_setting(_FORMAT, FORMAT_VERSION)
        elif found != FORMAT_VERSION:
            raise DataFolderError(
                f"the database has format {found}, and this version of Octomil reads "
                f"{FORMAT_VERSION}; start the version that wrote it"
            )
