"""Telling webhooks what happened: noted in the outbox, in the transaction of what happened."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from octomil.control.identifiers import new_id
from octomil.control.moments import shown
from octomil.control.ports import Transaction
from octomil.control.records import Event
from octomil.wire.webhooks import EventType, EventView


def announce(
    tx: Transaction, kind: EventType, subject: str, data: Mapping[str, Any], now: datetime
) -> None:
    """Note that the organisation's webhooks are to be told of an event.

    Args:
        tx: of what happened.
        kind: what happened.
        subject: the id of the model it happened to; its events are told in their order.
        data: more about it, as JSON values.
        now: when it happened.
    """
    listeners = [webhook for webhook in tx.webhooks.list() if kind in webhook.events]
    if not listeners:
        return
    event = Event(id=new_id("evt", now), type=kind, subject=subject, data=data, occurred_at=now)
    view = EventView(
        id=event.id,
        type=kind,
        org_id=tx.organisation,
        occurred_at=shown(now),
        data=dict(data),
    )
    tx.outbox.put(event, listeners, json.dumps(asdict(view), allow_nan=False))
