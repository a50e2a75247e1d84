"""API keys; of each only the SHA-256."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Table,
    bindparam,
    insert,
    select,
    update,
)

from octomil.control.records import ApiKey
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("prefix", PLAIN_TEXT, nullable=False, server_default=""),
    Column("last_used_at", Moment),
    Column("replaced_by", PLAIN_TEXT),
    Index("ix_api_keys_organisation", "organisation"),
)

_USE = (
    update(api_keys)
    .where(
        api_keys.c.id == bindparam("key_id"),
        api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at < bindparam("moment")),
    )
    .values(last_used_at=bindparam("moment"))
)


class ApiKeyRows:
    """The keys of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = api_keys.c.organisation == organisation
        self._organisation = organisation

    def add(self, key: ApiKey) -> None:
        """Add a key."""
        row = {
            "id": key.id,
            "organisation": self._organisation,
            "name": key.name,
            "hash": key.hash,
            "scopes": list(key.scopes),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
            "prefix": key.prefix,
        }
        self._connection.execute(insert(api_keys).values(row))

    def get(self, key_id: str) -> ApiKey | None:
        """Return a key by its id."""
        query = select(api_keys).where(self._own, api_keys.c.id == key_id)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _key(row)

    def list(self) -> Sequence[ApiKey]:
        """Return all keys, oldest first, revoked ones too."""
        query = select(api_keys).where(self._own).order_by(api_keys.c.created_at, api_keys.c.id)
        return [_key(row) for row in self._connection.execute(query).mappings()]

    def revoke(self, key_id: str, now: datetime) -> bool:
        """Make a key void; return False if there is none that holds under that id."""
        holds = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        change = update(api_keys).where(self._own, holds).values(revoked_at=now)
        return self._connection.execute(change).rowcount == 1

    def replace(self, key_id: str, by: str, expires_at: datetime) -> bool:
        """Note which key follows a key, and when the old one ends."""
        table = api_keys.c
        holds = (table.id == key_id) & table.revoked_at.is_(None) & table.replaced_by.is_(None)
        change = update(api_keys).where(self._own, holds)
        done = self._connection.execute(change.values(replaced_by=by, expires_at=expires_at))
        return done.rowcount == 1


def note_key_uses(connection: Connection, used: Iterable[tuple[str, datetime]]) -> None:
    """Note when keys were last used, by id, in one statement for all."""
    rows = [{"key_id": key_id, "moment": moment} for key_id, moment in sorted(used)]
    if rows:
        connection.execute(_USE, rows)


def key_of_hash(connection: Connection, key_hash: bytes) -> ApiKey | None:
    """Return the key with that SHA-256, whosever it is."""
    query = select(api_keys).where(api_keys.c.hash == key_hash)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _key(row)


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": tuple(row["scopes"])})
