"""Who may still ask: buckets in memory, or in what all replicas share.

Devices' buckets are always this replica's: a poll must not wait for a network. When what is shared
cannot be reached, keys' buckets are this replica's too for a while; nobody is turned away for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from octomil.control.gcra import Decision, RateLimit, decide
from octomil.control.ports import LimitsUnavailableError, SharedLimits
from octomil.control.services.callers import Caller
from octomil.control.services.generation_slots import MOST_OF_ONE
from octomil.control.services.upload_quotas import DEFAULT_QUOTA, UploadQuota

BREAK_S = 2.0
"""After a failure the shared buckets are left alone for so long."""

_SWEPT_FROM = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often each caller may ask, None for as often as it likes; and how much may be under way.

    Attributes:
        key: for an API key or a bootstrap token.
        device: for a device's token.
        failures: for wrong keys and tokens of a client address.
        uploads: what each organisation may have under way.
        generations: answers of models that each organisation may have in the making.
    """

    key: RateLimit | None = None
    device: RateLimit | None = None
    failures: RateLimit | None = None
    uploads: UploadQuota = DEFAULT_QUOTA
    generations: int = MOST_OF_ONE


NO_LIMITS = Limits()


def read_limits(
    *,
    key: str,
    device: str,
    failures: str,
    uploads: UploadQuota = DEFAULT_QUOTA,
    generations: int = MOST_OF_ONE,
) -> Limits:
    """Read what `octomil up` was told, such as `500/s` and `off`.

    Raises:
        ConfigurationError: a limit cannot be read.
    """
    return Limits(
        key=RateLimit.parse(key),
        device=RateLimit.parse(device),
        failures=RateLimit.parse(failures),
        uploads=uploads,
        generations=generations,
    )


class LocalLimits:
    """Buckets in memory; those that are full again are forgotten.

    Args:
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, clock_s: Callable[[], float] = monotonic) -> None:
        self._clock_s = clock_s
        self._full_at_s: dict[str, float] = {}
        self._sweep_at = _SWEPT_FROM

    def __len__(self) -> int:
        return len(self._full_at_s)

    def look(self, who: str, limit: RateLimit) -> Decision:
        """Tell what would become of a request, and take nothing."""
        _, decision = decide(limit, self._full_at_s.get(who, 0.0), self._clock_s())
        return decision

    def take(self, who: str, limit: RateLimit) -> Decision:
        """Take a token out of a caller's bucket."""
        now_s = self._clock_s()
        kept_s, decision = decide(limit, self._full_at_s.get(who, 0.0), now_s)
        self._full_at_s[who] = kept_s
        if len(self._full_at_s) >= self._sweep_at:
            self._full_at_s = {k: at_s for k, at_s in self._full_at_s.items() if at_s > now_s}
            self._sweep_at = max(_SWEPT_FROM, 2 * len(self._full_at_s))
        return decision


class RateLimits:
    """Takes a token for each request; used from one event loop.

    Args:
        limits: how often.
        shared: buckets that replicas share; None where there is one replica.
        clock_s: a clock that never goes back, in seconds.

    Attributes:
        unshared: keys' requests that were counted here alone because of a failure.
        refused: requests that were turned away.
    """

    def __init__(
        self,
        limits: Limits,
        shared: SharedLimits | None = None,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self._limits = limits
        self._shared = shared
        self._clock_s = clock_s
        self._local = LocalLimits(clock_s)
        self._broken_until_s = 0.0
        self.unshared = 0
        self.refused = 0

    async def take(self, caller: Caller) -> Decision | None:
        """Take a token for a request; None if there is no limit for the caller."""
        if caller.device_id is not None:
            decision = self.take_for_device(caller.device_id)
        elif self._limits.key is None:
            return None
        else:
            decision = await self._take_for_key(caller.actor, self._limits.key)
        if decision is not None and not decision.allowed:
            self.refused += 1
        return decision

    def take_for_device(self, device_id: str) -> Decision | None:
        """Take a token for a device's request, at once."""
        if self._limits.device is None:
            return None
        return self._local.take(device_id, self._limits.device)

    def counts(self) -> Mapping[str, int]:
        """Return how many requests were turned away, and counted here alone."""
        return {"refused": self.refused, "unshared": self.unshared}

    async def close(self) -> None:
        """Give everything back."""
        if self._shared is not None:
            await self._shared.close()

    async def _take_for_key(self, who: str, limit: RateLimit) -> Decision:
        if self._shared is not None:
            if self._clock_s() >= self._broken_until_s:
                try:
                    return await self._shared.take(who, limit)
                except LimitsUnavailableError:
                    self._broken_until_s = self._clock_s() + BREAK_S
            self.unshared += 1
        return self._local.take(who, limit)
