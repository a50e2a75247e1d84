"""What serving nodes did, minute by minute: reported by them, and read as a series of time."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Interval, MaxLen, MinLen, MultipleOf

from octomil.wire.numbers import EXACT
from octomil.wire.texts import Label, Matches, Name

ROUTING_US_BOUNDS = tuple(2**power for power in range(19))
"""Upper edges of the buckets of routing times, in microseconds; one more bucket is above them."""

MAX_ROWS = 64
MAX_MINUTES = 30
"""In one report: with as many rows each, it stays below the control plane's limit of a body."""

_BUCKETS = len(ROUTING_US_BOUNDS) + 1
_DOLLARS = 1e9

Number = Annotated[int, Interval(ge=1, le=2**53 - 1), EXACT]
Tier = Annotated[int, Interval(ge=0, le=3), EXACT]
Start = Annotated[int, Interval(ge=0, le=2**40), MultipleOf(60), EXACT]
Count = Annotated[int, Interval(ge=0, le=10**7), EXACT]
Tokens = Annotated[int, Interval(ge=0, le=10**10), EXACT]
Microseconds = Annotated[int, Interval(ge=0, le=10**12), EXACT]
Seconds = Annotated[float, Interval(ge=0, le=1e9), EXACT]
SavedSeconds = Annotated[float, Interval(ge=-1e9, le=1e9), EXACT]
Dollars = Annotated[float, Interval(ge=0, le=_DOLLARS), EXACT]
SavedDollars = Annotated[float, Interval(ge=-_DOLLARS, le=_DOLLARS), EXACT]
Buckets = Annotated[list[Count], MaxLen(_BUCKETS)]
SpoolName = Annotated[str, Matches(r"^[0-9a-f]{32}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRow:
    """What one model did in a minute, as sums over the requests that left in it.

    Attributes:
        model: what the node serves it as; `tier0` for answers without a model.
        tier: 0 for those, 1 for fast, 2 for balanced, 3 for quality.
        requests: however they ended; one of several tasks counts with its highest model.
        routed: how many of these a router sent here; the client named the model of the others.
        errors: how many of these were answered with an error.
        escalations: answers of this model that were dropped because it was not sure of them.
        subtasks: tasks of requests for several that it did.
        prompt_tokens: that it read, also for answers in vain.
        completion_tokens: that it wrote, likewise.
        routing_us: what the decisions about the routed took together, in microseconds.
        routing_us_buckets: how many took up to 1, 2, 4, … 2**18 microseconds, and more; the end may
            be left out where it is zeros.
        cost_usd: US dollars, as far as prices are known.
        saved_usd: how much more the largest model would have cost for the same tokens, as far as
            prices are known; negative for a loss.
        largest_s: how long the largest model would have written at the same answers; 0 where the
            speeds are not known.
        saved_s: how much of that was saved; negative for a loss.
    """

    model: Name
    tier: Tier
    requests: Count = 0
    routed: Count = 0
    errors: Count = 0
    escalations: Count = 0
    subtasks: Count = 0
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    routing_us: Microseconds = 0
    routing_us_buckets: Buckets = field(default_factory=list)
    cost_usd: Dollars = 0.0
    saved_usd: SavedDollars = 0.0
    largest_s: Seconds = 0.0
    saved_s: SavedSeconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingMinute:
    """What a node did in a minute, or in a part of it that no other report tells of.

    Attributes:
        number: in the spool; greater than those before, and never used twice.
        start_s: when the minute began, in seconds since 1970.
        rows: by model and tier; what comes twice adds up.
    """

    number: Number
    start_s: Start
    rows: Annotated[list[RoutingRow], MinLen(1), MaxLen(MAX_ROWS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReport:
    """`POST /devices/{id}/routing`: minutes in the order of their numbers.

    Attributes:
        spool: where the numbers are from; a node that lost its spool begins another.
        dropped: minutes of this spool that were lost before they could be told.
    """

    spool: SpoolName
    dropped: Count = 0
    minutes: Annotated[list[RoutingMinute], MinLen(1), MaxLen(MAX_MINUTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReceipt:
    """What came of a report.

    Attributes:
        number: the last of the spool that need not be sent again.
        counted: minutes of this report that were counted, and were not before.
        passed_over: those that lie too far back, or in the future.
    """

    device_id: str
    number: int
    counted: int
    passed_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFigures:
    """What nodes did in a stretch of time; see `RoutingRow` for the sums.

    Attributes:
        routing_us_mean: of a routed request; null where there is none, as for the quantiles.
        routing_us_p50: estimated from buckets, each twice as wide as the one before.
        routing_us_p99: likewise.
        compute_saved_ratio: saved_s as a share of largest_s; null where no speeds were known.
    """

    requests: int
    routed: int
    errors: int
    escalations: int
    subtasks: int
    prompt_tokens: int
    completion_tokens: int
    routing_us_mean: float | None
    routing_us_p50: float | None
    routing_us_p99: float | None
    cost_usd: float
    saved_usd: float
    largest_s: float
    saved_s: float
    compute_saved_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPoint(RoutingFigures):
    """What was done in one step of a series.

    Attributes:
        at: when the step began, RFC 3339 in UTC.
        requests_by_tier: the requests of tier 0, 1, 2 and 3.
    """

    at: str
    requests_by_tier: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSeriesView:
    """`GET /routing/series`: what nodes did over time.

    Attributes:
        since: where the series begins, RFC 3339 in UTC, at the beginning of a step.
        until: where it ends; what is then or later is not in it.
        step_s: of each point; an hour at least where only hours are kept.
        points: in order; a step in which nothing was done has none.
    """

    since: str
    until: str
    step_s: int
    points: list[RoutingPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierShare:
    """What went to a tier.

    Attributes:
        name: `deterministic`, `fast`, `balanced` or `quality`.
        share: of all requests, 0 to 1; 0 where there are none.
    """

    tier: int
    name: str
    requests: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures(RoutingFigures):
    """What a model did, on whichever node, in whichever tier."""

    model: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSummaryView(RoutingFigures):
    """`GET /routing/summary`: what all nodes of the organisation did.

    Attributes:
        nodes: how many devices reported something of that time.
        dropped_minutes: that nodes lost before they could tell of them, since they began.
        tiers: each of the four.
        models: those with the most requests.
    """

    since: str
    until: str
    nodes: int
    dropped_minutes: int
    tiers: list[TierShare]
    models: list[ModelFigures]
