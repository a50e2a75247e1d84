"""Bringing a database up to date. Alembic takes 0.2 s to import, so it is only where it must be."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from octomil.errors import DataFolderError

_MIGRATIONS = Path(__file__).parent / "migrations"


def known_revisions() -> list[str]:
    """Return the revisions that this version of Octomil knows, oldest first."""
    return sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def present_revision(connection: Connection) -> str | None:
    """Return the revision a database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def bring_up_to_date(connection: Connection) -> None:
    """Apply the revisions that a database lacks, all of them or none. Call it under a lock.

    Raises:
        DataFolderError: a newer Octomil has changed the database already.
    """
    known, present = known_revisions(), present_revision(connection)
    connection.rollback()
    if present == known[-1]:
        return
    if present is not None and present not in known:
        raise DataFolderError(
            f"the database is at revision {present}, and this version of Octomil knows none after "
            f"{known[-1]}; start the newer one, or restore a backup"
        )
    _upgrade(connection)


def require_up_to_date(connection: Connection) -> None:
    """Return if a database lacks no revision, and has none that is not known here.

    Raises:
        DataFolderError: it is older or newer.
    """
    known, present = known_revisions()[-1], present_revision(connection)
    connection.rollback()
    if present != known:
        raise DataFolderError(
            f"the database is at revision {present}, and this version of Octomil reads {known}; "
            "start `octomil up` of the newer version first"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")
