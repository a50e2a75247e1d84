"""Steering rollouts: looking at each, taking the steps that come of it, telling the devices."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.rollouts.states import Transition

RESTS: Final = 4.0
"""So many times as long as it looked it rests: all rollouts together take a fifth of a reader."""

AT_ONCE: Final = 20
"""So many steps a rollout takes in a run; then it is another one's turn."""

_log = logging.getLogger("octomil.control")


@dataclass(slots=True)
class _Turn:
    """A rollout's turn in a run.

    Attributes:
        left: steps that it may still take.
        wave: the step that it takes next if its files are kept; None if it takes none, or has not
            been looked at.
        has_changed: whether it has taken a step of which the devices were not told.
        waited_s: seconds that it waited for the blob store.
    """

    rollout: Rollout
    left: int = AT_ONCE
    wave: Transition | None = None
    has_changed: bool = False
    waited_s: float = 0.0


async def steer_sparingly(
    plane: ControlPlane,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Steer, and rest: among a million devices a look takes a second or two of the machine.

    To wait for a blob store takes nothing of it, and is not rested from.

    Args:
        plane: whose rollouts.
        clock: tells monotonic seconds.
        rest: waits for seconds.
    """
    began_s = clock()
    waited_s = await steer(plane, clock)
    await rest(RESTS * (clock() - began_s - waited_s))


async def steer(plane: ControlPlane, clock: Callable[[], float] = time.monotonic) -> float:
    """Let every rollout go as far as it may; one that cannot be looked at holds up no other.

    What sends more devices for files comes after all else: a breach of one rollout does not wait
    for the blob store to answer for another.

    Args:
        plane: whose rollouts.
        clock: tells monotonic seconds.

    Returns:
        The seconds that it waited for the blob store.
    """
    steered = await plane.threads.read(plane.orchestrator.steered)
    turns = [_Turn(each) for each in plane.wave_files.begin(steered)]
    for act in (_begin, partial(_send, clock=clock)):
        for turn in turns:
            try:
                await act(plane, turn)
            except Exception:  # noqa: BLE001 - logged, and the next run may do better
                _log.exception("what the rollout %s does next could not be told", turn.rollout.id)
        await _tell_devices(plane, turns)
    for rollout in await plane.threads.read(plane.ended_rollouts.left):
        try:
            await _end_devices(plane, rollout)
        except Exception:  # noqa: BLE001 - logged, and the next run may do better
            _log.exception("devices of the rollout %s, which is over, were not ended", rollout.id)
    return sum(each.waited_s for each in turns)


async def _tell_devices(plane: ControlPlane, turns: list[_Turn]) -> None:
    if any(each.has_changed for each in turns):
        await plane.threads.read(plane.offers.refresh)
    for each in turns:
        each.has_changed = False


async def _end_devices(plane: ControlPlane, rollout: Rollout) -> None:
    """End devices of a rollout that is over, some thousand at most; the rest in the next run."""
    for _ in range(AT_ONCE):
        if not await plane.threads.write(plane.ended_rollouts.end_some, rollout):
            break


async def _begin(plane: ControlPlane, turn: _Turn) -> None:
    """Do what needs no files."""
    await _give_up_on_silent(plane, turn.rollout)
    await _go_on(plane, turn)


async def _send(plane: ControlPlane, turn: _Turn, *, clock: Callable[[], float]) -> None:
    """Take the waves whose files are kept, and what follows from them."""
    threads, files = plane.threads, plane.wave_files
    while (wave := turn.wave) is not None:
        needed = await threads.read(files.needed, turn.rollout)
        began_s = clock()
        try:
            following = await threads.move(files.following, turn.rollout, wave, needed)
        finally:
            turn.waited_s += clock() - began_s
        turn.wave = None
        if following is not None and await _took(plane, turn, following):
            await _go_on(plane, turn)


async def _give_up_on_silent(plane: ControlPlane, rollout: Rollout) -> None:
    """Note that devices took too long to say that they are healthy, some thousand at most."""
    orchestrator, threads = plane.orchestrator, plane.threads
    for _ in range(AT_ONCE):
        if not await threads.read(orchestrator.has_silent, rollout):
            break
        await threads.write(orchestrator.give_up_on_silent, rollout)


async def _go_on(plane: ControlPlane, turn: _Turn) -> None:
    """Take the steps that a rollout may take now and that need no files, a few at most."""
    while turn.left:
        decided = await plane.threads.read(plane.orchestrator.look, turn.rollout)
        if decided is None:
            break
        if decided.offers_to_more:
            turn.wave = decided
            break
        if not await _took(plane, turn, decided):
            break  # somebody else was first, and will look again, as this one will


async def _took(plane: ControlPlane, turn: _Turn, step: Transition) -> bool:
    """Take a step; tell whether it took effect."""
    if not await plane.threads.write(plane.orchestrator.take, turn.rollout, step):
        return False
    turn.left -= 1
    turn.has_changed = True
    return True
