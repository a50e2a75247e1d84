"""What serving nodes did, as a series of time and as a summary."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from epochly.inference.metrics.distribution import Distribution
from octomil.control.moments import shown
from octomil.control.ports import Clock, Store
from octomil.control.records import RoutingRange, RoutingSums, RoutingTotal
from octomil.control.records.routing_series import SUMMED
from octomil.control.services.callers import Caller
from octomil.control.services.devices import no_device
from octomil.control.services.routing_reports import AHEAD, routing_minutes_since_s
from octomil.control.time_steps import MINUTE_S, whole_steps
from octomil.errors import BadRequestError
from octomil.wire.routing_series import (
    ROUTING_US_BOUNDS,
    ModelFigures,
    RoutingPoint,
    RoutingSeriesView,
    RoutingSummaryView,
    TierShare,
)

SERIES_OF = timedelta(hours=1)
SUMMARY_OF = timedelta(days=1)
MAX_POINTS = 1500
MAX_MODELS = 50

_TIERS = ("deterministic", "fast", "balanced", "quality")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """What a series is asked for.

    Attributes:
        device_id: of this node alone, and so for the next two; None for all.
        model: as nodes serve it.
        tier: 0 to 3.
        step_s: of each point; where only hours are kept, the next multiple of an hour is taken.
    """

    device_id: str | None = None
    model: str | None = None
    tier: int | None = None
    step_s: int = 60


class RoutingSeriesService:
    """Tells what nodes did.

    Args:
        store: where it is kept.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def series(
        self,
        caller: Caller,
        query: SeriesQuery,
        since: datetime | None,
        until: datetime | None,
    ) -> RoutingSeriesView:
        """Return what nodes did in each step.

        Args:
            caller: who asks.
            query: for what.
            since: where the series begins; an hour before its end if None.
            until: where it ends; now if None.

        Raises:
            NotFoundError: there is no such device in the caller's organisation.
            BadRequestError: it ends before it begins, has too many points, or the step is no
                multiple of a minute.
        """
        step_s = query.step_s
        if step_s % MINUTE_S:
            raise BadRequestError(f"step {step_s} is no multiple of {MINUTE_S} seconds")
        since_s, until_s = self._bounds(since, until, SERIES_OF)
        steps = whole_steps(since_s, until_s, step_s, routing_minutes_since_s(self._clock))
        if steps.number > MAX_POINTS:
            raise BadRequestError(
                f"that is {steps.number} points, and {MAX_POINTS} are told at once; ask with a "
                "longer step, or for a shorter time"
            )
        wanted = RoutingRange(
            since_s=steps.since_s,
            until_s=steps.until_s,
            device_id=query.device_id,
            model=query.model,
            tier=query.tier,
        )
        with self._store.snapshot(caller.organisation) as tx:
            if query.device_id is not None and tx.devices.get(query.device_id) is None:
                raise no_device(query.device_id)
            totals = tx.routing_series.over_time(wanted, steps.step_s)
        of_steps = groupby(totals, lambda each: each.start_s)
        return RoutingSeriesView(
            since=shown(steps.since),
            until=shown(steps.until),
            step_s=steps.step_s,
            points=[_point(start_s, list(of_step)) for start_s, of_step in of_steps],
        )

    def summary(
        self, caller: Caller, since: datetime | None, until: datetime | None
    ) -> RoutingSummaryView:
        """Return what all nodes of the caller's organisation did.

        Args:
            caller: who asks.
            since: where that begins; a day before its end if None.
            until: where it ends; now if None.

        Raises:
            BadRequestError: it ends before it begins.
        """
        since_s, until_s = self._bounds(since, until, SUMMARY_OF)
        steps = whole_steps(since_s, until_s, MINUTE_S, routing_minutes_since_s(self._clock))
        wanted = RoutingRange(since_s=steps.since_s, until_s=steps.until_s)
        with self._store.snapshot(caller.organisation) as tx:
            totals = tx.routing_series.by_model(wanted)
            nodes, dropped = tx.routing_series.nodes(wanted), tx.routing_series.dropped()
        return RoutingSummaryView(
            **_figures(each.sums for each in totals),
            since=shown(steps.since),
            until=shown(steps.until),
            nodes=nodes,
            dropped_minutes=dropped,
            tiers=_shares(totals),
            models=_by_model(totals),
        )

    def _bounds(
        self, since: datetime | None, until: datetime | None, length: timedelta
    ) -> tuple[float, float]:
        """Return what is asked for, in seconds since 1970, as far as there can be something.

        Raises:
            BadRequestError: that is nothing.
        """
        now_s = self._clock().timestamp()
        until_s = now_s + MINUTE_S if until is None else until.timestamp()
        until_s = min(until_s, now_s + AHEAD.total_seconds() + MINUTE_S)
        since_s = until_s - length.total_seconds() if since is None else since.timestamp()
        since_s = max(0.0, since_s)
        if since_s >= until_s:
            raise BadRequestError("since must lie before until")
        return since_s, until_s


def _shown(moment_s: int) -> str:
    return shown(datetime.fromtimestamp(moment_s, UTC))


def _point(start_s: int, totals: list[RoutingTotal]) -> RoutingPoint:
    figures = _figures(each.sums for each in totals)
    return RoutingPoint(**figures, at=_shown(start_s), requests_by_tier=_requests_by_tier(totals))


def _requests_by_tier(totals: Iterable[RoutingTotal]) -> list[int]:
    found = [0] * len(_TIERS)
    for each in totals:
        found[each.key.tier] += each.sums.requests
    return found


def _shares(totals: Iterable[RoutingTotal]) -> list[TierShare]:
    found = _requests_by_tier(totals)
    of = sum(found)
    return [
        TierShare(tier=tier, name=name, requests=count, share=count / of if of else 0.0)
        for tier, (name, count) in enumerate(zip(_TIERS, found, strict=True))
    ]


def _by_model(totals: Iterable[RoutingTotal]) -> list[ModelFigures]:
    models: dict[str, list[RoutingSums]] = defaultdict(list)
    for each in totals:
        models[each.key.model].append(each.sums)
    found = [ModelFigures(**_figures(sums), model=model) for model, sums in models.items()]
    return sorted(found, key=lambda each: (-each.requests, each.model))[:MAX_MODELS]


def _figures(parts: Iterable[RoutingSums]) -> dict[str, Any]:
    """Return what `wire.routing_series.RoutingFigures` has."""
    sums = sum(parts, RoutingSums())
    times = Distribution(ROUTING_US_BOUNDS)
    times.counts = list(sums.routing_us_buckets)
    mean = sums.routing_us / sums.routed if sums.routed else None
    told = {name: getattr(sums, name) for name in SUMMED if name != "routing_us"}
    return told | {
        "routing_us_mean": mean,
        "routing_us_p50": times.quantile(0.5) if sums.routed else None,
        "routing_us_p99": times.quantile(0.99) if sums.routed else None,
        "compute_saved_ratio": sums.saved_s / sums.largest_s if sums.largest_s else None,
    }
