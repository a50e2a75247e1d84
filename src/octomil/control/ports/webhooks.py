"""Telling others what happened: who, what, and the way to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Delivery, DeliveryState, Event, Webhook


class Webhooks(Protocol):
    """Who wants to be told of an organisation's events."""

    def add(self, webhook: Webhook) -> None:
        """Add somebody."""

    def get(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""

    def list(self) -> Sequence[Webhook]:
        """Return all, oldest first."""

    def delete(self, webhook_id: str, now: datetime) -> bool:
        """Remove one; return False if there is none."""


class Outbox(Protocol):
    """What an organisation's webhooks are still to be told, and what they were told."""

    def put(self, event: Event, to: Sequence[Webhook], body: str) -> None:
        """Note that webhooks are to be told of an event, in the transaction of what happened."""

    def list(
        self, webhook_id: str, *, state: DeliveryState | None, limit: int, offset: int = 0
    ) -> Sequence[Delivery]:
        """Return what became of telling a webhook, newest first."""

    def revive(self, webhook_id: str, sequence: int, now: datetime) -> bool:
        """Try a dead delivery again from the start; return False if there is none."""

    def drop(self, webhook_id: str) -> None:
        """Forget what a webhook was still to be told."""


class Deliveries(Protocol):
    """Deliveries of all organisations, for whoever carries them out."""

    def claim(
        self, now: datetime, leased_until: datetime, *, limit: int, to_each: int
    ) -> Sequence[tuple[Delivery, Webhook]]:
        """Take deliveries that are due, which nobody else does before `leased_until`.

        Of those to one webhook about one subject, only the oldest is ever taken. Those to a webhook
        that was removed go.

        Args:
            now: the present moment.
            leased_until: how long they are the caller's.
            limit: how many to take at most.
            to_each: how many may be under way to one webhook, whoever took them.
        """

    def settle(self, delivery: Delivery) -> None:
        """Note what became of a try, unless somebody took it over meanwhile."""


class WebhookSender(Protocol):
    """The way to webhooks."""

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post a message and return the HTTP status of the answer.

        Raises:
            WebhookUnreachableError: there was no answer, or the address may not be called.
        """


class WebhookUnreachableError(Exception):
    """A webhook could not be called; the message says why."""
