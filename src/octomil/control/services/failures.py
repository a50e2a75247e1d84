"""Who shows wrong keys and tokens too often, by client address.

To find out that a credential is wrong takes a look into the database, which anybody may cause. Only
failures count, so that thousands of devices behind one address do not stand in each other's way. No
more looks are under way for an address than it may still fail; the others wait for those to end.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from octomil.control.gcra import Decision, RateLimit
from octomil.control.services.rate_limits import LocalLimits
from octomil.errors import ForbiddenError, RateLimitedError, UnauthorizedError


@dataclass(slots=True)
class _Address:
    """An address that somebody shows something from.

    Attributes:
        users: those, and others that wait.
        looks: under way.
        ended: told when a look has ended.
    """

    users: int = 0
    looks: int = 0
    ended: asyncio.Condition = field(default_factory=asyncio.Condition)


class FailedCredentials:
    """Counts failures here, for this replica alone; used from one event loop.

    Args:
        limit: how often an address may fail; None for as often as it likes.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, limit: RateLimit | None, clock_s: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._buckets = LocalLimits(clock_s)
        self._addresses: dict[str, _Address] = {}

    @asynccontextmanager
    async def counted(self, address: str) -> AsyncIterator[None]:
        """Look at what an address shows; an error that says it is wrong counts as a failure.

        Raises:
            RateLimitedError: the address has failed too often of late.
        """
        if self._limit is None:
            yield
            return
        here = self._addresses.setdefault(address, _Address())
        here.users += 1
        try:
            await self._begin(address, here, self._limit)
            try:
                yield
            except (UnauthorizedError, ForbiddenError):
                self._buckets.take(address, self._limit)
                raise
            finally:
                here.looks -= 1
        finally:
            here.users -= 1
            if here.users:
                async with here.ended:
                    here.ended.notify()
            else:
                del self._addresses[address]

    async def _begin(self, address: str, here: _Address, limit: RateLimit) -> None:
        """Wait until all looks under way may fail, and this one too; then it is under way.

        Whoever waits waits for a look that is under way, and each that ends, or begins where there
        is room for more, lets the next one see.
        """

        def decision() -> Decision:
            return self._buckets.look(address, limit)

        async with here.ended:
            await here.ended.wait_for(
                lambda: not decision().allowed or here.looks <= decision().remaining
            )
            decided = decision()
            if decided.allowed:
                here.looks += 1
                here.ended.notify()
                return
        wait_s = math.ceil(decided.retry_after_s)
        raise RateLimitedError(
            f"too many wrong keys or tokens came from {address}; come back in {wait_s} s",
            {"retry_after_s": wait_s},
        )
