"""Who wants to be told of events."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    Table,
    insert,
    select,
    update,
)

from octomil.control.records import Webhook
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("url", PLAIN_TEXT, nullable=False),
    Column("secret", PLAIN_TEXT, nullable=False),
    Column("events", JsonText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("deleted_at", Moment),
    Index("ix_webhooks_organisation", "organisation"),
)
"""A deleted one leaves its row behind: an event may be noted for it at that very moment."""

_FIELDS = tuple(Webhook.__dataclass_fields__)


class WebhookRows:
    """Who wants to be told of an organisation's events."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation
        self._own = (webhooks.c.organisation == organisation) & webhooks.c.deleted_at.is_(None)

    def add(self, webhook: Webhook) -> None:
        """Add somebody."""
        row = {name: getattr(webhook, name) for name in _FIELDS}
        row |= {"organisation": self._organisation, "events": list(webhook.events)}
        self._connection.execute(insert(webhooks).values(row))

    def get(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        query = select(webhooks).where(self._own, webhooks.c.id == webhook_id)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else webhook_of(row)

    def list(self) -> Sequence[Webhook]:
        """Return all, oldest first."""
        query = select(webhooks).where(self._own)
        rows = self._connection.execute(query.order_by(webhooks.c.created_at, webhooks.c.id))
        return [webhook_of(row) for row in rows.mappings()]

    def delete(self, webhook_id: str, now: datetime) -> bool:
        """Remove one; return False if there is none."""
        change = update(webhooks).where(self._own, webhooks.c.id == webhook_id)
        return self._connection.execute(change.values(deleted_at=now)).rowcount == 1


def webhook_of(row: RowMapping) -> Webhook:
    """Return the record of a row."""
    values = {name: row[name] for name in _FIELDS}
    return Webhook(**{**values, "events": tuple(row["events"])})
