"""What requests with an idempotency key were answered."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    delete,
    select,
)

from octomil.control.records import KeptAnswer
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("key", PLAIN_TEXT, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)


class IdempotencyKeyRows:
    """The answers that an organisation's requests with an idempotency key got."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = idempotency_keys.c.organisation == organisation
        self._organisation = organisation

    def find(self, key: str) -> KeptAnswer | None:
        """Return what the key's request was answered, if it was."""
        table = idempotency_keys.c
        query = select(table.request_digest, table.status, table.body)
        row = self._connection.execute(query.where(self._own, table.key == key)).one_or_none()
        if row is None:
            return None
        return KeptAnswer(
            request_digest=bytes(row.request_digest), status=row.status, body=bytes(row.body)
        )

    def keep(self, key: str, answer: KeptAnswer, now: datetime) -> bool:
        """Keep an answer; return False, and change nothing, if the key has one already."""
        row = {
            "organisation": self._organisation,
            "key": key,
            "request_digest": answer.request_digest,
            "status": answer.status,
            "body": answer.body,
            "created_at": now,
        }
        return insert_new(self._connection, idempotency_keys, row)

    def forget(self, before: datetime) -> int:
        """Drop what was kept before a moment; return how much that was."""
        old = idempotency_keys.c.created_at < before
        return self._connection.execute(delete(idempotency_keys).where(self._own, old)).rowcount
