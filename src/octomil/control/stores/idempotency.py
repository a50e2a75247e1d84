"""What requests with an idempotency key were answered."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    and_,
    select,
    update,
)

from octomil.control.records import KeptAnswer, RequestKey
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("caller", PLAIN_TEXT, primary_key=True),
    Column("key", PLAIN_TEXT, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("body", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)


class IdempotencyKeyRows:
    """The answers that an organisation's requests with an idempotency key got."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def claim(self, key: RequestKey, request_digest: bytes, now: datetime) -> bool:
        """Take a key for a request; return False, and change nothing, if it was taken before."""
        row = {
            "organisation": self._organisation,
            "caller": key.caller,
            "key": key.text,
            "request_digest": request_digest,
            "status": 0,
            "created_at": now,
        }
        return insert_new(self._connection, idempotency_keys, row)

    def find(self, key: RequestKey) -> KeptAnswer | None:
        """Return what the key's request was answered, if it was."""
        table = idempotency_keys.c
        query = select(table.request_digest, table.status, table.body).where(self._is(key))
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        return KeptAnswer(
            request_digest=bytes(row.request_digest),
            status=row.status,
            body=None if row.body is None else bytes(row.body),
        )

    def keep(self, key: RequestKey, status: int, body: bytes | None) -> None:
        """Keep the answer to the request that has claimed a key."""
        change = update(idempotency_keys).where(self._is(key))
        self._connection.execute(change.values(status=status, body=body))

    def _is(self, key: RequestKey) -> ColumnElement[bool]:
        table = idempotency_keys.c
        return and_(
            table.organisation == self._organisation,
            table.caller == key.caller,
            table.key == key.text,
        )
