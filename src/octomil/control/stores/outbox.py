"""The transactional outbox: what webhooks are to be told, written with what it tells of."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Select,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from octomil.control.records import Delivery, DeliveryState, Event, Webhook
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import metadata
from octomil.control.stores.webhooks import webhook_of, webhooks

deliveries = Table(
    "deliveries",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("webhook_id", PLAIN_TEXT, ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", PLAIN_TEXT, nullable=False),
    Column("event_type", PLAIN_TEXT, nullable=False),
    Column("subject", PLAIN_TEXT, nullable=False),
    Column("body", PLAIN_TEXT, nullable=False),
    Column("state", PLAIN_TEXT, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("leased_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("status", BigInteger),
    Column("problem", PLAIN_TEXT),
    Index("ix_deliveries_webhook_id_sequence", "webhook_id", "sequence"),
    Index("ix_deliveries_ended_at", "ended_at"),
)
# Written out: a database uses a partial index only where it sees what the condition says.
_PENDING = deliveries.c.state == literal(DeliveryState.PENDING.value, literal_execute=True)
Index(
    "ix_deliveries_turn",
    deliveries.c.webhook_id,
    deliveries.c.subject,
    deliveries.c.sequence,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)

_FIRST = (
    select(func.min(deliveries.c.sequence))
    .where(_PENDING)
    .group_by(deliveries.c.webhook_id, deliveries.c.subject)
)
"""The oldest that waits for each webhook and subject."""

_FIELDS = tuple(field.name for field in fields(Delivery))
_SETTLED = ("state", "tries", "due_at", "ended_at", "status", "problem")


class OutboxRows:
    """What an organisation's webhooks are still to be told, and what they were told."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation
        self._own = deliveries.c.organisation == organisation

    def put(self, event: Event, to: Sequence[Webhook], body: str) -> None:
        """Note that webhooks are to be told of an event."""
        rows = [
            {
                "organisation": self._organisation,
                "webhook_id": webhook.id,
                "event_id": event.id,
                "event_type": event.type,
                "subject": event.subject,
                "body": body,
                "state": DeliveryState.PENDING.value,
                "tries": 0,
                "due_at": event.occurred_at,
                "created_at": event.occurred_at,
            }
            for webhook in to
        ]
        if rows:
            self._connection.execute(insert(deliveries), rows)

    def list(
        self, webhook_id: str, *, state: DeliveryState | None, limit: int, offset: int = 0
    ) -> Sequence[Delivery]:
        """Return what became of telling a webhook, newest first."""
        query = select(deliveries).where(self._own, deliveries.c.webhook_id == webhook_id)
        if state is not None:
            query = query.where(deliveries.c.state == state.value)
        newest = query.order_by(deliveries.c.sequence.desc()).limit(limit).offset(offset)
        return [_delivery(row) for row in self._connection.execute(newest).mappings()]

    def revive(self, webhook_id: str, sequence: int, now: datetime) -> bool:
        """Try a dead delivery again from the start; return False if there is none."""
        change = update(deliveries).where(
            self._own,
            deliveries.c.webhook_id == webhook_id,
            deliveries.c.sequence == sequence,
            deliveries.c.state == DeliveryState.DEAD.value,
        )
        pending = {"state": DeliveryState.PENDING.value, "tries": 0, "due_at": now}
        return self._connection.execute(change.values(**pending, ended_at=None)).rowcount == 1

    def drop(self, webhook_id: str) -> None:
        """Forget what a webhook was still to be told."""
        of_webhook = deliveries.c.webhook_id == webhook_id
        self._connection.execute(delete(deliveries).where(self._own, of_webhook, _PENDING))


class DeliveryRows:
    """Deliveries of all organisations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(
        self, now: datetime, leased_until: datetime, *, limit: int, to_each: int
    ) -> Sequence[tuple[Delivery, Webhook]]:
        """Take deliveries that are due, the oldest to each webhook about each subject."""
        due = (deliveries.c.due_at <= now) & _is_free(now)
        within = deliveries.c.sequence.in_(_within(now, to_each))
        chosen = select(deliveries.c.sequence).where(_PENDING, due, within)
        chosen = chosen.order_by(deliveries.c.due_at, deliveries.c.sequence).limit(limit)
        taken = (
            update(deliveries)
            .where(deliveries.c.sequence.in_(chosen.with_for_update(skip_locked=True)))
            .values(leased_until=leased_until)
            .returning(deliveries)
        )
        rows = self._connection.execute(taken).mappings().all()
        ids = {row["webhook_id"] for row in rows}
        targets = self._webhooks(ids) if ids else {}
        if gone := ids - targets.keys():
            of_gone = deliveries.c.webhook_id.in_(gone)
            self._connection.execute(delete(deliveries).where(of_gone, _PENDING))
        claimed = sorted((_delivery(row) for row in rows), key=lambda each: each.sequence)
        return [(each, targets[each.webhook_id]) for each in claimed if each.webhook_id in targets]

    def settle(self, delivery: Delivery) -> None:
        """Note what became of a try, unless somebody took it over meanwhile."""
        told = {name: getattr(delivery, name) for name in _SETTLED}
        is_held = _PENDING & (deliveries.c.leased_until == delivery.leased_until)
        change = update(deliveries).where(deliveries.c.sequence == delivery.sequence, is_held)
        self._connection.execute(change.values(**told, leased_until=None))

    def _webhooks(self, ids: set[str]) -> dict[str, Webhook]:
        query = select(webhooks).where(webhooks.c.id.in_(ids), webhooks.c.deleted_at.is_(None))
        return {row["id"]: webhook_of(row) for row in self._connection.execute(query).mappings()}


def _within(now: datetime, to_each: int) -> Select[Any]:
    """Return which deliveries may be under way at once, `to_each` webhook, those that are first."""
    is_free, sequence = _is_free(now), deliveries.c.sequence
    place = func.row_number().over(
        partition_by=deliveries.c.webhook_id, order_by=(is_free, deliveries.c.due_at, sequence)
    )
    waiting = _PENDING & sequence.in_(_FIRST) & ((deliveries.c.due_at <= now) | ~is_free)
    placed = select(sequence, place.label("place")).where(waiting).subquery()
    return select(placed.c.sequence).where(placed.c.place <= to_each)


def _is_free(now: datetime) -> Any:
    return deliveries.c.leased_until.is_(None) | (deliveries.c.leased_until <= now)


def _delivery(row: RowMapping) -> Delivery:
    values = {name: row[name] for name in _FIELDS}
    return Delivery(**{**values, "state": DeliveryState(row["state"])})
