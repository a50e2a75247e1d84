"""What serving nodes report of the requests that they routed: taken, and rolled up into hours."""

from collections import defaultdict
from datetime import timedelta
from functools import partial
from itertools import pairwise

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import RoutingKey, RoutingSums
from octomil.control.records.routing_series import SUMMED
from octomil.control.services.callers import Caller
from octomil.control.services.devices import no_device
from octomil.control.services.last_seen import LastSeen
from octomil.control.time_steps import minutes_since_s
from octomil.errors import BadRequestError
from octomil.wire.routing_series import (
    ROUTING_US_BOUNDS,
    RoutingMinute,
    RoutingReceipt,
    RoutingReport,
    RoutingRow,
)

MINUTES_KEPT = timedelta(days=1)
"""What lies further back is kept by hours."""
HOURS_KEPT = timedelta(days=90)
TAKEN_FOR = timedelta(days=7)
"""A minute that lies further back is passed over."""
AHEAD = timedelta(hours=1)
"""By so much a node's clock may be ahead."""
SPOOLS_KEPT = 2 * TAKEN_FOR
"""Beyond what is taken, so that a spool that is forgotten has nothing left that could count."""
ROLLED_UP_EVERY_S = 600.0

_HOURS_AT_ONCE = 50


class RoutingReportService:
    """Takes nodes' reports.

    Args:
        store: where they are kept.
        clock: tells the time.
        last_seen: is told of who reports.
    """

    def __init__(self, store: Store, clock: Clock, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._last_seen = last_seen

    def report(self, caller: Caller, device_id: str, report: RoutingReport) -> RoutingReceipt:
        """Count what a node did, each number of its spool once.

        Raises:
            ForbiddenError: the caller is another device.
            NotFoundError: there is no such device in the caller's organisation.
            BadRequestError: numbers are not in order, or counts contradict each other.
        """
        caller.require_device(device_id)
        _refuse_disorder(report)
        for minute in report.minutes:
            for row in minute.rows:
                _refuse_contradictions(row)
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            if tx.devices.get(device_id) is None:
                raise no_device(device_id)
            last = tx.routing_series.position(device_id, report.spool)
            fresh = [each for each in report.minutes if each.number > last]
            taken = [each for each in fresh if self._is_taken(each)]
            _count(tx, device_id, taken)
            last = max(last, report.minutes[-1].number)
            tx.routing_series.move(device_id, report.spool, last, report.dropped, now)
            if caller.device_id is not None:
                tx.after_commit(partial(self._last_seen.note, device_id))
        passed_over = len(fresh) - len(taken)
        return RoutingReceipt(
            device_id=device_id, number=last, counted=len(taken), passed_over=passed_over
        )

    def roll_up_some(self) -> bool:
        """Make hours of some minutes that are a day old; tell whether there may be more."""
        with self._store.system() as tx:
            return (
                tx.routing_hours.roll_up(routing_minutes_since_s(self._clock), _HOURS_AT_ONCE) > 0
            )

    def _is_taken(self, minute: RoutingMinute) -> bool:
        now = self._clock()
        earliest, latest = (now - TAKEN_FOR).timestamp(), (now + AHEAD).timestamp()
        return earliest <= minute.start_s <= latest


def routing_minutes_since_s(clock: Clock) -> int:
    """Return the hour since which minutes are kept, in seconds since 1970."""
    return minutes_since_s(clock(), MINUTES_KEPT)


def _count(tx: Transaction, device_id: str, minutes: list[RoutingMinute]) -> None:
    stretches: dict[int, dict[RoutingKey, RoutingSums]] = defaultdict(
        lambda: defaultdict(RoutingSums)
    )
    for minute in minutes:
        for row in minute.rows:
            stretches[minute.start_s][RoutingKey(row.model, row.tier)] += _sums_of(row)
    for start_s, sums in stretches.items():
        tx.routing_series.add(device_id, start_s, sums)


def _sums_of(row: RoutingRow) -> RoutingSums:
    buckets = (*row.routing_us_buckets, *[0] * (len(ROUTING_US_BOUNDS) + 1))
    return RoutingSums(
        **{name: getattr(row, name) for name in SUMMED},
        routing_us_buckets=buckets[: len(ROUTING_US_BOUNDS) + 1],
    )


def _refuse_disorder(report: RoutingReport) -> None:
    numbers = [each.number for each in report.minutes]
    for before, number in pairwise(numbers):
        if number <= before:
            raise BadRequestError(f"minutes: {number} follows {before}; send them in their order")


def _refuse_contradictions(row: RoutingRow) -> None:
    for name in ("routed", "errors"):
        if getattr(row, name) > row.requests:
            raise BadRequestError(
                f"{name} cannot be {getattr(row, name)} of {row.requests} requests"
            )
    if (timed := sum(row.routing_us_buckets)) != row.routed:
        raise BadRequestError(
            f"routing_us_buckets tell of {timed} decisions, and {row.routed} were routed"
        )
    if row.saved_s > row.largest_s:
        raise BadRequestError(f"{row.saved_s} of {row.largest_s} seconds cannot have been saved")
