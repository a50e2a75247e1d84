"""Bootstrap tokens; of each only the SHA-256."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Table,
    insert,
    select,
    update,
)

from octomil.control.records import BootstrapToken
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import metadata

bootstrap_tokens = Table(
    "bootstrap_tokens",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("prefix", PLAIN_TEXT, nullable=False),
    Column("device_scopes", JsonText, nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("groups", JsonText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("max_uses", BigInteger),
    Column("uses", BigInteger, nullable=False),
    Column("revoked_at", Moment),
    Index("ix_bootstrap_tokens_organisation", "organisation"),
)


class BootstrapTokenRows:
    """The bootstrap tokens of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = bootstrap_tokens.c.organisation == organisation
        self._organisation = organisation

    def add(self, token: BootstrapToken) -> None:
        """Add a token."""
        row = {
            "id": token.id,
            "organisation": self._organisation,
            "name": token.name,
            "hash": token.hash,
            "prefix": token.prefix,
            "device_scopes": list(token.device_scopes),
            "labels": dict(token.labels),
            "groups": list(token.groups),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "max_uses": token.max_uses,
            "uses": token.uses,
        }
        self._connection.execute(insert(bootstrap_tokens).values(row))

    def get(self, token_id: str) -> BootstrapToken | None:
        """Return a token by its id."""
        query = select(bootstrap_tokens).where(self._own, bootstrap_tokens.c.id == token_id)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _token(row)

    def list(self) -> Sequence[BootstrapToken]:
        """Return all tokens, oldest first, those that hold no more too."""
        table = bootstrap_tokens.c
        query = select(bootstrap_tokens).where(self._own).order_by(table.created_at, table.id)
        return [_token(row) for row in self._connection.execute(query).mappings()]

    def use(self, token_id: str, now: datetime) -> BootstrapToken | None:
        """Count a use and return the token; None, and nothing counted, if it holds no more."""
        table = bootstrap_tokens.c
        holds = (
            (table.id == token_id)
            & table.revoked_at.is_(None)
            & (table.expires_at > now)
            & (table.max_uses.is_(None) | (table.uses < table.max_uses))
        )
        change = update(bootstrap_tokens).where(self._own, holds).values(uses=table.uses + 1)
        done = self._connection.execute(change)
        return self.get(token_id) if done.rowcount == 1 else None

    def revoke(self, token_id: str, now: datetime) -> bool:
        """Make a token void; return False if there is none under that id that is not."""
        holds = (bootstrap_tokens.c.id == token_id) & bootstrap_tokens.c.revoked_at.is_(None)
        change = update(bootstrap_tokens).where(self._own, holds).values(revoked_at=now)
        return self._connection.execute(change).rowcount == 1


def bootstrap_token_of_hash(connection: Connection, token_hash: bytes) -> BootstrapToken | None:
    """Return the token with that SHA-256, whosever it is."""
    query = select(bootstrap_tokens).where(bootstrap_tokens.c.hash == token_hash)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _token(row)


def _token(row: RowMapping) -> BootstrapToken:
    lists = {name: tuple(row[name]) for name in ("device_scopes", "groups")}
    return BootstrapToken(**{**row, **lists})
