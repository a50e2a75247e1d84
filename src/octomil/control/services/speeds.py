"""How fast devices run models, as they measured it: looked up, and remembered for a moment."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from octomil.control.ports import Store
from octomil.placement.decision import Measured
from octomil.placement.devices import HardwareKind

REMEMBERED_S = 5.0
"""So long a replica may go on without what another one was told."""

SAMPLED_DEVICES = 101
"""So many devices of a kind are heard at most: those that measured last."""

_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedQuery:
    """What is to be known: how fast a model runs on devices of a kind.

    Attributes:
        device_id: the device itself, whose own measurements go before those of its kind; None
            where it is not known.
    """

    organisation: str
    kind: HardwareKind
    model_id: str
    device_id: str | None


class Speeds:
    """What devices measured, for decisions that must not wait for a database.

    Args:
        store: where profiles are.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, store: Store, clock_s: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock_s = clock_s
        self._remembered: dict[SpeedQuery, tuple[Measured, float]] = {}
        self._changes: Counter[str] = Counter()
        self._lock = Lock()

    def remembered(self, query: SpeedQuery) -> Measured | None:
        """Return what was looked up a moment ago; None if it was not, or too long ago."""
        found, until_s = self._remembered.get(query, (None, 0.0))
        return found if self._clock_s() < until_s else None

    def look_up(self, query: SpeedQuery) -> Measured:
        """Return what is known of how fast a model will be; nothing known is remembered, too."""
        changes = self._changes[query.organisation]
        with self._store.snapshot(query.organisation) as tx:
            samples = tx.device_profiles.samples(
                query.kind, query.model_id, query.device_id, SAMPLED_DEVICES
            )
        found = samples.typical()
        with self._lock:
            # else what was read may be what was there before
            if changes == self._changes[query.organisation]:
                if len(self._remembered) >= _MAX_REMEMBERED:
                    self._remembered = {}
                self._remembered[query] = found, self._clock_s() + REMEMBERED_S
        return found

    def forget(self, organisation: str) -> None:
        """Look an organisation's speeds up again: a profile of its devices has changed."""
        with self._lock:
            self._changes[organisation] += 1
            self._remembered = {
                query: found
                for query, found in self._remembered.items()
                if query.organisation != organisation
            }
