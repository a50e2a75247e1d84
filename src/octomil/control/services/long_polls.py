"""Polls that wait for news: held in memory, a future each, until what their device is told changes.

A held poll takes no thread, no lock and no database. A change of an organisation's plan looks at
the polls of its devices and ends those whose answer it changes; the others go on waiting.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from octomil.control.services.assignments import Gist, Plans

MOST_HELD: Final = 10_000
"""So many polls wait at once, at most; a held one takes some 14 KB with its connection."""

_AT_ONCE = 64  # polls looked at, or answered, before other requests have their turn


@dataclass(eq=False, slots=True, kw_only=True)
class _Held:
    """A poll that waits.

    Attributes:
        known: the number of the plan that the device has; 0 for none.
        told: what the device was told by then; None where nobody here knows.
        ended: has a result as soon as it is to be answered.
    """

    organisation: str
    device_id: str
    known: int
    told: Gist | None
    ended: asyncio.Future[None]

    def end(self, *_: object) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class LongPolls:
    """Holds the polls of one event loop.

    Args:
        plans: what devices are told; may be replaced in any thread.
        most: polls that wait at once, at most.

    Attributes:
        turned_away: polls that were answered at once because too many waited.
    """

    def __init__(self, plans: Plans, most: int = MOST_HELD) -> None:
        self._plans = plans
        self._most = most
        self._held: dict[str, dict[str, _Held]] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # while anything waits
        self._stirred: set[str] = set()
        self._waking: asyncio.Task[None] | None = None
        self._is_closed = False
        self.turned_away = 0
        plans.on_change(self._plans_changed)

    def __len__(self) -> int:
        return self._number

    def counts(self) -> Mapping[str, int]:
        """Return how many polls wait now, and how many were not let wait."""
        return {"held": self._number, "turned_away": self.turned_away}

    async def wait(
        self,
        organisation: str,
        device_id: str,
        known_number: int | None,
        wait_s: float,
        gone: Callable[[], Coroutine[Any, Any, None]],
    ) -> bool:
        """Return when a poll is to be answered; whether there still is somebody to answer.

        That is at once where there is news, where too many wait and after `close`; else when what
        the device is told changes, when the same device polls again, or when the wait is over. To a
        device that has no plan, being told to run nothing is no news.

        Args:
            organisation: the device's.
            device_id: the device.
            known_number: of the plan that the device says it has; None if it does not say.
            wait_s: seconds.
            gone: returns when the client has hung up.
        """
        loop = asyncio.get_running_loop()
        held = _Held(
            organisation=organisation,
            device_id=device_id,
            known=known_number or 0,
            told=None if known_number else (),
            ended=loop.create_future(),
        )
        self._keep(held, loop)  # before it is looked at, so that no change is missed
        try:
            return not self._is_let_wait(held) or await _end_of(held, wait_s, gone)
        finally:
            self._forget(held)

    def close(self) -> None:
        """Have every poll answered at once, from now on."""
        self._is_closed = True
        for of_one in self._held.values():
            for held in of_one.values():
                held.end()

    def _is_let_wait(self, held: _Held) -> bool:
        if self._is_closed or self._has_news(held):
            return False
        if self._number <= self._most:
            return True
        self.turned_away += 1
        return False

    def _has_news(self, held: _Held) -> bool:
        """Tell whether a device is told something else than what it knows."""
        told = self._plans.of(held.organisation).gist(held.device_id)
        if self._plans.is_news(held.organisation, held.known):
            return told != held.told
        held.told = told  # a replica that lagged behind the device has caught up
        return False

    def _keep(self, held: _Held, loop: asyncio.AbstractEventLoop) -> None:
        of_one = self._held.setdefault(held.organisation, {})
        if (before := of_one.get(held.device_id)) is not None:
            before.end()  # it may be of a connection that is lost, and nobody knows yet
        of_one[held.device_id] = held
        self._loop = loop
        self._number += 1

    def _forget(self, held: _Held) -> None:
        of_one = self._held.get(held.organisation, {})
        if of_one.get(held.device_id) is held:
            del of_one[held.device_id]
            if not of_one:
                del self._held[held.organisation]
        self._number -= 1
        if not self._number:
            self._loop = None

    def _plans_changed(self, organisations: AbstractSet[str]) -> None:
        """Have polls looked at; called in whichever thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._stir, organisations)

    def _stir(self, organisations: AbstractSet[str]) -> None:
        self._stirred |= organisations & self._held.keys()
        if self._stirred and self._waking is None:
            self._waking = asyncio.create_task(self._wake(), name="wake polls")

    async def _wake(self) -> None:
        """End the polls that have news, some at a time: all others' requests go on meanwhile."""
        try:
            while self._stirred:
                of_one = self._held.get(self._stirred.pop(), {})
                for number, held in enumerate(list(of_one.values()), start=1):
                    if not held.ended.done() and self._has_news(held):
                        held.end()
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)
        finally:
            self._waking = None


async def _end_of(
    held: _Held, wait_s: float, gone: Callable[[], Coroutine[Any, Any, None]]
) -> bool:
    """Return when a poll has ended, its wait is over, or its client is gone; whether it is not."""
    loop = asyncio.get_running_loop()
    timer, watch = loop.call_later(wait_s, held.end), loop.create_task(gone())
    watch.add_done_callback(held.end)
    try:
        await held.ended
        return not watch.done()
    finally:
        timer.cancel()
        watch.cancel()
