"""What a node did, minute by minute, by model and tier: what its control plane is told."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from octomil.routing.prices import Price
from octomil.serve.observation import Observation, Spent
from octomil.serve.stats import Paces
from octomil.wire.routing_series import ROUTING_US_BOUNDS, RoutingRow
from octomil.wire.texts import plain_text

_MINUTE_S = 60
_NAME_CHARS = 255

PriceOf = Callable[[str], Price | None]
"""Returns a model's price, if it is known."""


@dataclass(slots=True)
class _Row:
    """Sums of one model and tier, as `RoutingRow` has them.

    Attributes:
        kept_tokens: of answers that were routed and ended well.
        dropped_tokens: of answers that were dropped for a stronger model's.
    """

    requests: int = 0
    routed: int = 0
    errors: int = 0
    escalations: int = 0
    subtasks: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    routing_us: int = 0
    routing_us_buckets: list[int] = field(
        default_factory=lambda: [0] * (len(ROUTING_US_BOUNDS) + 1)
    )
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    kept_tokens: int = 0
    dropped_tokens: int = 0

    def spend(self, spent: Observation | Spent) -> None:
        """Count what an answer took, whether or not it reached anybody."""
        self.prompt_tokens += spent.usage.prompt_tokens
        self.completion_tokens += spent.usage.completion_tokens
        self.cost_usd += spent.cost_usd or 0.0


_Minute = dict[tuple[str, int], _Row]
Minutes = list[tuple[int, list[RoutingRow]]]
"""The beginning of each minute, in seconds since 1970, and what was done in it."""


class RoutingMinutes:
    """Counts requests as they leave; safe to use from threads.

    What routing saved is told as in `RoutingStats`: against the same answers written by the largest
    model, token for token.

    Args:
        largest: that model's name; None where nothing is routed.
        paces: returns how long models take for a token, as far as that is known.
        price_of: what models cost.
        now: tells seconds since 1970.
    """

    def __init__(
        self,
        largest: str | None,
        paces: Callable[[], Paces],
        price_of: PriceOf,
        now: Callable[[], float],
    ) -> None:
        self._largest = largest
        self._paces = paces
        self._price_of = price_of
        self._now = now
        self._minutes: dict[int, _Minute] = {}
        self._lock = Lock()

    def count(self, seen: Observation) -> None:
        """Count a request that has left, however it left; one for which no model was chosen not."""
        if seen.tier < 0:
            return
        start_s = int(self._now()) // _MINUTE_S * _MINUTE_S
        with self._lock:
            minute = self._minutes.setdefault(start_s, {})
            self._count(minute, seen)

    def take(self) -> Minutes:
        """Return what was counted since the last time."""
        with self._lock:
            taken, self._minutes = self._minutes, {}
        paces = self._paces()
        return [(start_s, self._told(minute, paces)) for start_s, minute in sorted(taken.items())]

    def _count(self, minute: _Minute, seen: Observation) -> None:
        row = _row(minute, seen)
        row.requests += 1
        failed = seen.outcome.startswith("error:")
        row.errors += failed
        if seen.routed:
            row.routed += 1
            row.routing_us += seen.routing_us
            row.routing_us_buckets[bisect_left(ROUTING_US_BOUNDS, seen.routing_us)] += 1
        for part in seen.subtasks or (seen,):
            _row(minute, part).spend(part)
        for part in seen.subtasks:
            _row(minute, part).subtasks += 1
        for spent in seen.all_in_vain:
            _row(minute, spent).spend(spent)
        for part in seen.subtasks or (seen,):
            for dropped in part.dropped:
                _row(minute, dropped).escalations += 1
                _row(minute, dropped).dropped_tokens += dropped.usage.completion_tokens
        if seen.routed and not failed and seen.outcome != "cancelled":
            self._compare(minute, seen)

    def _compare(self, minute: _Minute, seen: Observation) -> None:
        """Count what an answer saved, as far as prices are known."""
        price = None if self._largest is None else self._price_of(self._largest)
        has_prices = price is not None and seen.total_cost_usd is not None
        for part in seen.subtasks or (seen,):
            row, usage = _row(minute, part), part.usage
            row.kept_tokens += usage.completion_tokens
            if has_prices and price is not None:
                largest_usd = price.cost_usd(usage.prompt_tokens, usage.completion_tokens)
                row.saved_usd += largest_usd - (part.cost_usd or 0.0)
        if has_prices:
            for spent in seen.all_in_vain:
                _row(minute, spent).saved_usd -= spent.cost_usd or 0.0

    def _told(self, minute: _Minute, paces: Paces) -> list[RoutingRow]:
        """Return a minute as it is told; without seconds where a speed is missing to tell them."""
        largest = paces.get(self._largest or "")
        wrote = {
            model for (model, _), row in minute.items() if row.kept_tokens or row.dropped_tokens
        }
        is_timed = largest is not None and wrote <= paces.keys()
        return [
            _told(model, tier, row, paces.get(model, 0.0), largest if is_timed else None)
            for (model, tier), row in minute.items()
        ]


def _row(minute: _Minute, of: Observation | Spent) -> _Row:
    row = minute.get((of.model, of.tier))
    if row is None:
        row = minute[of.model, of.tier] = _Row()
    return row


def _told(model: str, tier: int, row: _Row, pace: float, largest: float | None) -> RoutingRow:
    largest_s = 0.0 if largest is None else row.kept_tokens * largest
    spent_s = 0.0 if largest is None else (row.kept_tokens + row.dropped_tokens) * pace
    return RoutingRow(
        model=plain_text(model)[:_NAME_CHARS],
        tier=tier,
        requests=row.requests,
        routed=row.routed,
        errors=row.errors,
        escalations=row.escalations,
        subtasks=row.subtasks,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        routing_us=row.routing_us,
        routing_us_buckets=row.routing_us_buckets,
        cost_usd=row.cost_usd,
        saved_usd=row.saved_usd,
        largest_s=largest_s,
        saved_s=largest_s - spent_s,
    )
