"""Carrying the outbox out: who is to be told of what now, and what follows from how that went.

At least once: a delivery is taken for a while, and whoever took it and died gives it back by not
settling it in time. The receiver knows a repetition by the id of the event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from octomil.control.ports import Clock, Store
from octomil.control.records import Delivery, DeliveryState, Webhook
from octomil.registry.messages import signed_headers

LEASE = timedelta(seconds=20)
"""Longer than a try can take."""
KEPT = timedelta(days=30)
"""So long it can be looked up what became of a delivery."""
MAX_TRIES = 16
AT_ONCE = 128
"""So many tries are under way at most."""
TO_EACH = 8
"""So many of them to one webhook, so that one which does not answer keeps none from the others."""
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_DOUBLINGS = 20
_OK = range(200, 300)


def wait_after(tries: int, chance: float) -> timedelta:
    """Return how long to wait after so many tries: twice as long each time, up to an hour.

    Args:
        tries: 1 after the first one.
        chance: from 0 to 1; up to a fifth is added, so that not all come back at once.

    Example:
        >>> [wait_after(tries, 0.0).total_seconds() for tries in (1, 2, 3, 16)]
        [5.0, 10.0, 20.0, 3600.0]
    """
    doubled = _FIRST_WAIT * (1 << min(tries - 1, _MOST_DOUBLINGS))
    return min(doubled, _LONGEST_WAIT) * (1 + 0.2 * chance)


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be posted where."""

    delivery: Delivery
    url: str
    headers: dict[str, str]
    body: bytes


class DeliveryService:
    """Hands out what is to be delivered, and notes how it went; used by a job.

    Args:
        store: where the outbox is.
        clock: tells the time.
        chance: returns numbers from 0 to 1.
        max_tries: after so many a delivery is dead.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Callable[[], float],
        max_tries: int = MAX_TRIES,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._max_tries = max_tries

    def claim(self, most: int = AT_ONCE, to_each: int = TO_EACH) -> Sequence[Message]:
        """Take what is due; nobody else does until it is settled, or the lease is over.

        Args:
            most: how many to take.
            to_each: how many may be under way to one webhook.
        """
        now = self._clock()
        with self._store.system() as tx:
            claimed = tx.deliveries.claim(now, now + LEASE, limit=most, to_each=to_each)
        return [_message(delivery, webhook, now) for delivery, webhook in claimed]

    def settle(self, delivery: Delivery, status: int | None, problem: str | None) -> None:
        """Note how a try went.

        Args:
            delivery: what was tried.
            status: the HTTP status of the answer; None if there was none.
            problem: why there was none.
        """
        now = self._clock()
        with self._store.system() as tx:
            tx.deliveries.settle(self._settled(delivery, status, problem, now))

    def _settled(
        self, delivery: Delivery, status: int | None, problem: str | None, now: datetime
    ) -> Delivery:
        tried = replace(delivery, tries=delivery.tries + 1, status=status, problem=problem)
        if status is not None and status in _OK:
            return replace(tried, state=DeliveryState.DELIVERED, ended_at=now)
        if status is not None:
            tried = replace(tried, problem=f"the receiver answered {status}")
        if tried.tries >= self._max_tries:
            return replace(tried, state=DeliveryState.DEAD, ended_at=now)
        return replace(tried, due_at=now + wait_after(tried.tries, self._chance()))


def _message(delivery: Delivery, webhook: Webhook, now: datetime) -> Message:
    body = delivery.body.encode()
    signed = signed_headers(webhook.secret, delivery.event_id, int(now.timestamp()), body)
    headers = {"content-type": "application/json", **signed}
    return Message(delivery, webhook.url, headers, body)
