"""Steering rollouts: looking at each, taking the steps that come of it, telling the devices."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.services.wave_files import StoreAnswer
from octomil.rollouts.states import Transition

RESTS: Final = 4.0
"""So many times as long as it looked a job rests: it takes a fifth of a reader at most."""

AT_ONCE: Final = 20
"""So many steps a rollout takes in a run; then it is another one's turn."""

_log = logging.getLogger("octomil.control")


@dataclass(slots=True)
class _Turn:
    """A rollout's turn in a run.

    Attributes:
        left: steps that it may still take.
        has_changed: whether it has taken a step of which the devices were not told.
        waited_s: seconds that it waited for the blob store.
    """

    rollout: Rollout
    left: int = AT_ONCE
    has_changed: bool = False
    waited_s: float = 0.0


class Steering:
    """What two jobs do for all rollouts: one looks at them, the other sends waves.

    Before a wave the blob store is asked, which may take its time. So that no breach waits for
    it, they run beside each other: the look tells which rollouts have a wave to send, and no more.

    Args:
        plane: whose rollouts.
        clock: tells monotonic seconds.
        rest: waits for seconds.
    """

    def __init__(
        self,
        plane: ControlPlane,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._plane = plane
        self._clock = clock
        self._rest = rest
        self._steered: Sequence[Rollout] = ()
        self._sending: set[str] = set()

    async def look_sparingly(self) -> None:
        """Look, and rest: among a million devices a look takes a second or two of the machine."""
        began_s = self._clock()
        await self.look()
        await self._rest(RESTS * (self._clock() - began_s))

    async def send_sparingly(self) -> None:
        """Send, and rest; to wait for a blob store takes nothing of the machine."""
        began_s = self._clock()
        waited_s = await self.send()
        await self._rest(RESTS * (self._clock() - began_s - waited_s))

    async def look(self) -> None:
        """Let every rollout go as far as it may without its files.

        One that cannot be looked at holds up no other.
        """
        self._steered = await self._plane.threads.read(self._plane.orchestrator.steered)
        self._sending &= {each.id for each in self._steered}
        await self._take_turns(self._steered, self._begin)
        for rollout in await self._plane.threads.read(self._plane.ended_rollouts.left):
            try:
                await self._end_devices(rollout)
            except Exception:  # noqa: BLE001 - logged, and the next run may do better
                _log.exception(
                    "devices of the rollout %s, which is over, were not ended", rollout.id
                )

    async def send(self) -> float:
        """Take the waves that the last look told of, where the files are kept.

        Returns:
            The seconds that it waited for the blob store.
        """
        ordered = self._plane.wave_files.begin(self._steered)
        due = [each for each in ordered if each.id in self._sending]
        return sum(each.waited_s for each in await self._take_turns(due, self._send))

    async def _take_turns(
        self, rollouts: Iterable[Rollout], act: Callable[[_Turn], Awaitable[None]]
    ) -> Sequence[_Turn]:
        turns = [_Turn(each) for each in rollouts]
        for turn in turns:
            try:
                await act(turn)
            except Exception:  # noqa: BLE001 - logged, and the next run may do better
                _log.exception("what the rollout %s does next could not be told", turn.rollout.id)
        if any(each.has_changed for each in turns):
            await self._plane.threads.read(self._plane.offers.refresh)
        return turns

    async def _end_devices(self, rollout: Rollout) -> None:
        """End devices of a rollout that is over, some thousand at most; the rest in the next."""
        for _ in range(AT_ONCE):
            if not await self._plane.threads.write(self._plane.ended_rollouts.end_some, rollout):
                break

    async def _begin(self, turn: _Turn) -> None:
        """Do what needs no files; note whether a wave comes next."""
        self._sending.discard(turn.rollout.id)
        await self._give_up_on_silent(turn.rollout)
        if await self._go_on(turn) is not None:
            self._sending.add(turn.rollout.id)

    async def _send(self, turn: _Turn) -> None:
        """Take the waves whose files are kept, and what follows from them."""
        self._sending.discard(turn.rollout.id)
        is_due = True
        while is_due:
            answer = await self._asked(turn)
            if answer is None:
                break
            # Devices may have failed while the store was asked: what was due then counts no more.
            wave = await self._go_on(turn)
            step = None if wave is None else answer.following(wave)
            if step is None or not await self._took(turn, step):
                break
            is_due = await self._go_on(turn) is not None

    async def _asked(self, turn: _Turn) -> StoreAnswer | None:
        """Return what the blob store says of a rollout's files, however late."""
        threads, files = self._plane.threads, self._plane.wave_files
        needed = await threads.read(files.needed, turn.rollout)
        began_s = self._clock()
        try:
            return await threads.move(files.ask, turn.rollout, needed)
        finally:
            turn.waited_s += self._clock() - began_s

    async def _give_up_on_silent(self, rollout: Rollout) -> None:
        """Note that devices took too long to say that they are healthy, some thousand at most."""
        orchestrator, threads = self._plane.orchestrator, self._plane.threads
        for _ in range(AT_ONCE):
            if not await threads.read(orchestrator.has_silent, rollout):
                break
            await threads.write(orchestrator.give_up_on_silent, rollout)

    async def _go_on(self, turn: _Turn) -> Transition | None:
        """Take the steps that a rollout may take now and that need no files, a few at most.

        Returns:
            The step that comes next, if it sends more devices for the files.
        """
        while turn.left:
            decided = await self._plane.threads.read(self._plane.orchestrator.look, turn.rollout)
            if decided is None or decided.offers_to_more:
                return decided
            if not await self._took(turn, decided):
                break  # somebody else was first, and will look again, as this one will
        return None

    async def _took(self, turn: _Turn, step: Transition) -> bool:
        """Take a step; tell whether it took effect."""
        took = await self._plane.threads.write(self._plane.orchestrator.take, turn.rollout, step)
        if took:
            turn.left -= 1
            turn.has_changed = True
        return took


async def steer(plane: ControlPlane) -> None:
    """Do once what the jobs do, one after the other."""
    steering = Steering(plane)
    await steering.look()
    await steering.send()
