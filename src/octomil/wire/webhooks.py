"""Webhooks: who is told of what, and what became of telling them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import MaxLen, MinLen

from octomil.wire.texts import Matches, Plain

EventType = Literal["model.created", "version.published", "version.deprecated", "alias.moved"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCreation:
    """`POST /webhooks`.

    Attributes:
        url: where messages are posted, `http` or `https`.
        secret: what they are signed with: `whsec_` and Base64, or any text of 16 characters or
            more; one is made where it is left out.
        events: what to tell of; everything where it is left out.
    """

    url: Annotated[str, MinLen(1), MaxLen(2000), Plain]
    secret: Annotated[str, MinLen(16), MaxLen(200), Matches(r"^[!-~]*$")] | None = None
    events: Annotated[list[EventType], MinLen(1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """A webhook that was just made.

    Attributes:
        secret: shown this once.
    """

    id: str
    url: str
    events: list[str]
    created_at: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookList:
    """`GET /webhooks`, oldest first."""

    webhooks: list[WebhookView]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """What is posted to a webhook.

    Attributes:
        id: the same at each try; a receiver that has seen it drops it.
        occurred_at: RFC 3339 in UTC.
    """

    id: str
    type: str
    org_id: str
    occurred_at: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event on its way to one webhook.

    Attributes:
        id: of the delivery.
        state: `pending`, `delivered`, or `dead` after the last try.
        tries: how often it was tried.
        due_at: when it is tried next; None unless it is pending.
        status: the HTTP status of the last answer, if there was one.
        problem: what went wrong at the last try.
    """

    id: int
    event_id: str
    event_type: str
    state: str
    tries: int
    created_at: str
    due_at: str | None
    ended_at: str | None
    status: int | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryList:
    """`GET /webhooks/{id}/deliveries`, newest first."""

    deliveries: list[DeliveryView]
