"""How the releases that a node serves fare: what the health gates of a rollout are told."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import perf_counter

from octomil.engines.pooled import HeldRelease
from octomil.serve.breakers import speaks_against_engine

_LEAST_MS = 0.001


@dataclass(slots=True, kw_only=True)
class ReleaseUsage:
    """What one release was asked in one tier.

    Attributes:
        model_id: the model's, at the control plane.
        digest: of the release's manifest.
        tier: by its name; empty where nothing is routed.
        requests: those that ended well, and those that failed by the engine's fault. What the
            client broke off, or asked wrongly, tells nothing and is not among them.
        errors: the latter.
        log_latency_ms_sum: over those that ended well, of the natural logarithm of the
            milliseconds that the engine worked, so that the gates can compare geometric means.
    """

    model_id: str
    digest: str
    tier: str
    requests: int = 0
    errors: int = 0
    log_latency_ms_sum: float = 0.0


class ReleaseUsages:
    """Counts by model, digest and tier; safe to use from threads.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, str, str], ReleaseUsage] = {}
        self._lock = Lock()

    @contextmanager
    def call(self, release: HeldRelease | None, tier: str) -> Iterator[None]:
        """Count one call of an engine by how the block ends; the exception goes on its way.

        Args:
            release: what the engine holds; None for what nobody released, which is not counted.
            tier: the model's; empty where nothing is routed.
        """
        if release is None:
            yield
            return
        began_s = self._clock()
        try:
            yield
        except BaseException as error:
            if speaks_against_engine(error):
                self._count(release, tier, None)
            raise
        self._count(release, tier, self._clock() - began_s)

    def take(self) -> list[ReleaseUsage]:
        """Return what was counted since the last time."""
        with self._lock:
            taken, self._rows = self._rows, {}
        return list(taken.values())

    def _count(self, release: HeldRelease, tier: str, seconds: float | None) -> None:
        """Count a request that took so long, or one that failed."""
        key = (release.model_id, release.digest, tier)
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = ReleaseUsage(model_id=release.model_id, digest=release.digest, tier=tier)
                self._rows[key] = row
            row.requests += 1
            if seconds is None:
                row.errors += 1
            else:
                row.log_latency_ms_sum += math.log(max(_LEAST_MS, seconds * 1000))
