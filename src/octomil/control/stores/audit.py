"""The audit: rows chained by epochly's function, one chain for each organisation."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Table,
    insert,
    select,
    update,
)

from epochly.inference.privacy.audit.chain import (
    GENESIS,
    Link,
    RecordError,
    canonical_json,
)
from octomil.control.ports import AuditError
from octomil.control.records import Act, NotedAct
from octomil.control.stores.columns import PLAIN_TEXT
from octomil.control.stores.schema import insert_new, metadata

audit = Table(
    "audit",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("entry", PLAIN_TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
"""How far each chain reaches: what a transaction locks that adds to it."""

_PIECEMEAL = {"stream_results": True, "yield_per": 1000}
"""Postgres would else send a whole chain at once."""


class AuditRows:
    """The acts of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation
        self._own_head = audit_heads.c.organisation == organisation

    def append(self, act: Act, now: datetime) -> None:
        """Note an act at the end of the chain."""
        sequence, digest = self._lock_head()
        entry = canonical_json(
            {
                "at": now.astimezone(UTC).isoformat(timespec="microseconds"),
                "actor": act.actor,
                "operation": act.operation,
                "target": act.target,
                "details": dict(act.details),
            }
        )
        link = Link.after(sequence, digest, entry, None)
        place = {"sequence": link.sequence, "digest": link.digest}
        row = {**place, "organisation": self._organisation, "entry": entry.decode()}
        self._connection.execute(insert(audit).values(row))
        self._connection.execute(update(audit_heads).where(self._own_head).values(place))

    def entries(self) -> Iterator[Mapping[str, object]]:
        """Yield what was noted, oldest first."""
        for link in self._links():
            yield json.loads(link.entry)

    def page(self, before: int | None, limit: int) -> Sequence[NotedAct]:
        """Return the latest acts below a sequence number, or of all, the latest first."""
        query = select(audit).where(audit.c.organisation == self._organisation)
        if before is not None:
            query = query.where(audit.c.sequence < before)
        rows = self._connection.execute(query.order_by(audit.c.sequence.desc()).limit(limit))
        return [
            NotedAct(sequence=row.sequence, entry=json.loads(row.entry), digest=bytes(row.digest))
            for row in rows
        ]

    def verify(self) -> int:
        """Return how many records there are, all whole and in their places."""
        sequence, digest = 0, GENESIS
        for link in self._links():
            try:
                link.check_follows(sequence, digest, None)
            except RecordError as error:
                raise AuditError(f"record {link.sequence} of the audit {error}") from error
            sequence, digest = link.sequence, link.digest
        if (sequence, digest) != (self._head() or (0, GENESIS)):
            raise AuditError(f"the audit ends at record {sequence}, which is not its head")
        return sequence

    def _lock_head(self) -> tuple[int, bytes]:
        found = self._head(lock=True)
        if found is None:
            start = {"organisation": self._organisation, "sequence": 0, "digest": GENESIS}
            insert_new(self._connection, audit_heads, start)
            found = self._head(lock=True)
            assert found is not None
        return found

    def _head(self, *, lock: bool = False) -> tuple[int, bytes] | None:
        query = select(audit_heads.c.sequence, audit_heads.c.digest).where(self._own_head)
        found = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return None if found is None else (found.sequence, bytes(found.digest))

    def _links(self) -> Iterator[Link]:
        query = (
            select(audit.c.sequence, audit.c.entry, audit.c.digest)
            .where(audit.c.organisation == self._organisation)
            .order_by(audit.c.sequence)
        )
        previous = GENESIS
        with self._connection.execute(query, execution_options=_PIECEMEAL) as rows:
            for row in rows:
                digest = bytes(row.digest)
                yield Link(row.sequence, row.entry.encode(), previous, digest)
                previous = digest
