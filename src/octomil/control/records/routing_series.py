"""What serving nodes did, by minutes and hours."""

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

from octomil.wire.routing_series import ROUTING_US_BOUNDS

OTHER_MODELS = "other"
"""What models are called that a node has too many of."""


class RoutingKey(NamedTuple):
    """What is summed up together; `model` is as the node serves it."""

    model: str
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSums:
    """Sums over requests; `wire.routing_series.RoutingRow` says what each is.

    Attributes:
        routing_us_buckets: one for each edge, and one for what is above the last.
    """

    requests: int = 0
    routed: int = 0
    errors: int = 0
    escalations: int = 0
    subtasks: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    routing_us: int = 0
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    largest_s: float = 0.0
    saved_s: float = 0.0
    routing_us_buckets: tuple[int, ...] = (0,) * (len(ROUTING_US_BOUNDS) + 1)

    def __add__(self, other: Self) -> Self:
        """Return the sums over the requests of both."""
        added = {name: getattr(self, name) + getattr(other, name) for name in SUMMED}
        buckets = zip(self.routing_us_buckets, other.routing_us_buckets, strict=True)
        return type(self)(**added, routing_us_buckets=tuple(map(sum, buckets)))


SUMMED = tuple(each.name for each in fields(RoutingSums) if each.name != "routing_us_buckets")
"""The sums that are one number each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRange:
    """Which sums are asked for.

    Attributes:
        since_s: where they begin, in seconds since 1970.
        until_s: where they end; exclusive.
        device_id: of this node alone, and so for the others; None for all.
    """

    since_s: int
    until_s: int
    device_id: str | None = None
    model: str | None = None
    tier: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTotal:
    """Sums of one group.

    Attributes:
        start_s: the beginning of its step; 0 where time is not told apart.
        key: what it is of; an empty model or a tier of -1 where these are not told apart.
    """

    start_s: int
    key: RoutingKey
    sums: RoutingSums
