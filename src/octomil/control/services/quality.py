"""How well generations went: percentiles over time, and versions compared with those before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby, pairwise
from typing import Final, get_args

from octomil.control.moments import in_utc, shown
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import QualityRange, Stretch, Subject
from octomil.control.services.callers import Caller
from octomil.control.services.inference_events import UNKNOWN_CLASS
from octomil.control.time_steps import (
    HOUR_S,
    MINUTE_S,
    Steps,
    minutes_since_s,
    whole_steps,
)
from octomil.errors import BadRequestError, NotFoundError
from octomil.quality.sensitivity import Sensitivity
from octomil.quality.sketches import RELATIVE_ERROR
from octomil.quality.tallies import Measure, Outcome, Tally, TallySum, together
from octomil.quality.versions import in_order
from octomil.wire.inference_events import ClassName
from octomil.wire.quality import (
    Percentiles,
    QualityFigures,
    QualityGroup,
    QualityPoint,
    QualityReport,
    RegressionReport,
    Verdict,
    VersionComparison,
)

ROLLED_UP_EVERY_S: Final = 600.0
MINUTES_KEPT: Final = timedelta(hours=2)
"""So long minutes are told apart; then hours are."""
QUALITY_KEPT: Final = timedelta(days=30)

MAX_STRETCHES: Final = 10_000
"""So many are added up for one answer, at a tenth of a millisecond each."""
_SOME_POINTS = 300
_STEPS_S = (MINUTE_S, 300, 900, HOUR_S, 21_600, 86_400)
_SHOWN_BY_DEFAULT = timedelta(days=1)
_COMPARED_BY_DEFAULT = timedelta(days=7)
_MAX_COMPARISONS = 10
_AHEAD = timedelta(minutes=5)
"""So far ahead may clients' clocks be."""
_ROLLED_UP_AFTER = timedelta(minutes=5)
"""So much later than readers stop asking for minutes: replicas' clocks differ, readings last."""
_AT_ONCE = 200

CLASSES: Final = (*get_args(ClassName), UNKNOWN_CLASS)
SENSITIVITY: Final = Sensitivity(classes=len(CLASSES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when to when, as a caller asks; None for what is usual."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityQuery:
    """Which generations of a model a caller asks for; None for all.

    Attributes:
        step_s: length of a point, the next multiple of an hour where there are hours only; None for
            what gives a readable number of them.
    """

    model_id: str
    version: str | None = None
    device_class: str | None = None
    window: Window = Window()
    step_s: int | None = None


class QualityService:
    """Tells how generations went.

    Args:
        store: where they are added up.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def report(self, caller: Caller, query: QualityQuery) -> QualityReport:
        """Return percentiles and counts of a model, over time and by version and device class.

        Raises:
            BadRequestError: the time makes no sense, or has too much in it.
        """
        since, until = self._bounds(query.window, _SHOWN_BY_DEFAULT)
        steps = self._steps(since, until, query.step_s or _readable_step_s(until - since))
        versions = None if query.version is None else frozenset([query.version])
        with self._store.snapshot(caller.organisation) as tx:
            points, subjects = _added_up(_read(tx, query, steps, versions), steps)
        return QualityReport(
            model_id=query.model_id,
            version=query.version,
            device_class=query.device_class,
            since=shown(steps.since),
            until=shown(steps.until),
            step_s=steps.step_s,
            relative_error=RELATIVE_ERROR,
            overall=_figures(together(subjects.values())),
            series=points,
            groups=[
                QualityGroup(version=each.version, device_class=each.device_class,
                             figures=_figures(tally))
                for each, tally in sorted(subjects.items())
            ],
        )  # fmt: skip

    def regressions(self, caller: Caller, query: QualityQuery) -> RegressionReport:
        """Compare versions of a model with those before them, the newest first.

        Args:
            caller: who asks.
            query: `version` for that one alone.

        Raises:
            NotFoundError: nothing is known of that version.
            BadRequestError: the time makes no sense, or has too much in it.
        """
        steps = self._steps(*self._bounds(query.window, _COMPARED_BY_DEFAULT), MINUTE_S)
        with self._store.snapshot(caller.organisation) as tx:
            pairs = _pairs(tx, query)
            versions = frozenset(chain.from_iterable(pairs))
            _, subjects = _added_up(_read(tx, query, steps, versions), steps)
        by_version: dict[str, dict[str, Tally]] = defaultdict(dict)
        for subject, tally in subjects.items():
            by_version[subject.version][subject.device_class] = tally
        return RegressionReport(
            since=shown(steps.since),
            until=shown(steps.until),
            tolerated_slowdown=SENSITIVITY.tolerated_slowdown,
            tolerated_failures=SENSITIVITY.failures.tolerated,
            false_alarm=SENSITIVITY.false_alarm,
            comparisons=[_comparison(query.model_id, pair, by_version) for pair in pairs],
        )

    def roll_up_some(self) -> bool:
        """Make hours of some minutes that are old enough; tell whether there may be more."""
        before = self._clock() - MINUTES_KEPT - _ROLLED_UP_AFTER
        with self._store.system() as tx:
            return tx.quality_ledger.roll_up(before, _AT_ONCE) == _AT_ONCE

    def _steps(self, since: datetime, until: datetime, step_s: int) -> Steps:
        minutes_from_s = minutes_since_s(self._clock(), MINUTES_KEPT)
        return whole_steps(since.timestamp(), until.timestamp(), step_s, minutes_from_s)

    def _bounds(self, window: Window, usual: timedelta) -> tuple[datetime, datetime]:
        now = self._clock()
        end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)  # of this minute
        until = end if window.until is None else min(in_utc(window.until), end + _AHEAD)
        since = now - usual if window.since is None else in_utc(window.since)
        if since >= until:
            raise BadRequestError(f"since: {shown(since)} is not before {shown(until)}")
        since = max(since, now - QUALITY_KEPT)
        return since, max(since, until)


def _readable_step_s(length: timedelta) -> int:
    wanted_s = length.total_seconds() / _SOME_POINTS
    return next((step_s for step_s in _STEPS_S if step_s >= wanted_s), _STEPS_S[-1])


def _read(
    tx: Transaction, query: QualityQuery, steps: Steps, versions: frozenset[str] | None
) -> Iterator[Stretch]:
    """Return the stretches that are asked for, by time.

    Raises:
        BadRequestError: there are more than can be added up while others wait.
    """
    wanted = QualityRange(
        model_id=query.model_id,
        since=steps.since,
        until=steps.until,
        versions=versions,
        device_class=query.device_class,
    )
    if (number := tx.quality.count_stretches(wanted)) > MAX_STRETCHES:
        raise BadRequestError(
            f"that is {number} minutes and hours of versions on classes of devices, and "
            f"{MAX_STRETCHES} are added up at once; ask for a later since, or for one version"
        )
    return tx.quality.stretches(wanted)


def _added_up(
    stretches: Iterable[Stretch], steps: Steps
) -> tuple[list[QualityPoint], Mapping[Subject, Tally]]:
    """Add up by point, and by subject; what comes by time needs one point in memory at once."""
    points: list[QualityPoint] = []
    subjects: dict[Subject, TallySum] = defaultdict(TallySum)
    for at, of_point in groupby(stretches, lambda each: steps.start_of(each.began_at)):
        point = TallySum()
        for each in of_point:
            point.add(each.tally)
            subjects[each.subject].add(each.tally)
        points.append(QualityPoint(at=shown(at), figures=_figures(point.whole())))
    return points, {subject: each.whole() for subject, each in subjects.items()}


def _figures(tally: Tally) -> QualityFigures:
    return QualityFigures(
        started=tally.number(Outcome.STARTED),
        completed=tally.number(Outcome.COMPLETED),
        failed=tally.number(Outcome.FAILED),
        cancelled=tally.number(Outcome.CANCELLED),
        ttfc_ms=_percentiles(tally, Measure.TTFC_MS),
        avg_chunk_latency_ms=_percentiles(tally, Measure.AVG_CHUNK_LATENCY_MS),
        total_duration_ms=_percentiles(tally, Measure.TOTAL_DURATION_MS),
        throughput=_percentiles(tally, Measure.THROUGHPUT),
    )


def _percentiles(tally: Tally, measure: Measure) -> Percentiles | None:
    sketch = tally.sketch(measure)
    p50, p90, p99 = (sketch.quantile(share) for share in (0.5, 0.9, 0.99))
    if p50 is None or p90 is None or p99 is None:
        return None
    return Percentiles(count=sketch.count, p50=p50, p90=p90, p99=p99)


def _pairs(tx: Transaction, query: QualityQuery) -> Sequence[tuple[str, str]]:
    """Return versions with the one before each, the newest first.

    Raises:
        NotFoundError: nothing is known of the version that is asked for.
    """
    first_at: dict[str, datetime] = {}
    for known in tx.quality.known(query.model_id):
        version = known.subject.version
        first_at[version] = min(known.first_at, first_at.get(version, known.first_at))
    if query.version is not None and query.version not in first_at:
        raise NotFoundError(f"nothing is known of {query.model_id!r} {query.version!r}")
    pairs = [
        pair for pair in reversed(list(pairwise(in_order(first_at))))
        if query.version in (None, pair[1])
    ]  # fmt: skip
    return pairs[:_MAX_COMPARISONS]


def _comparison(
    model_id: str, pair: tuple[str, str], by_version: Mapping[str, Mapping[str, Tally]]
) -> VersionComparison:
    from octomil.quality.regressions import compare  # takes numpy, 0.1 s to import

    before, version = pair
    findings = compare(by_version.get(before, {}), by_version.get(version, {}), SENSITIVITY)
    return VersionComparison(
        model_id=model_id,
        version=version,
        before=before,
        is_regressed=any(each.verdict is Verdict.REGRESSED for each in findings),
        findings=list(findings),
    )
