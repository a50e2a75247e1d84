"""Who is told of what happens, and what became of telling them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Somebody who wants to be told.

    Attributes:
        events: the types of events to tell of.
        secret: what the messages are signed with, `whsec_…` or any text.
    """

    id: str
    organisation: str
    url: str
    secret: str
    events: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an organisation's things.

    Attributes:
        id: goes along with each try to tell of it, so that the receiver can drop repetitions.
        subject: the id of what it happened to; events of one subject are told in their order.
        data: JSON values.
    """

    id: str
    type: str
    subject: str
    data: Mapping[str, Any]
    occurred_at: datetime


class DeliveryState(StrEnum):
    """What became of telling somebody of an event."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook.

    Attributes:
        sequence: grows with each delivery.
        event_id: of the event.
        body: what is posted: the event as JSON.
        tries: how often it was tried.
        due_at: before then it is not tried again.
        ended_at: when it was delivered or given up.
        status: the HTTP status of the last answer, if there was one.
        problem: what went wrong at the last try.
        leased_until: before then it is whose who took it last, to settle.
    """

    sequence: int
    organisation: str
    webhook_id: str
    event_id: str
    event_type: str
    subject: str
    body: str
    state: DeliveryState
    tries: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None = None
    status: int | None = None
    problem: str | None = None
    leased_until: datetime | None = None
