"""Steering rollouts: looking at each, taking the steps that come of it, telling the devices."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.rollouts.states import Transition

RESTS: Final = 4.0
"""So many times as long as it looked it rests: all rollouts together take a fifth of a reader."""

AT_ONCE: Final = 20
"""So many steps a rollout takes in a run; then it is another one's turn."""

_log = logging.getLogger("octomil.control")


async def steer_sparingly(
    plane: ControlPlane,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Steer, and rest: among a million devices a look takes a second or two of the machine.

    Args:
        plane: whose rollouts.
        clock: tells monotonic seconds.
        rest: waits for seconds.
    """
    began_s = clock()
    await steer(plane)
    await rest(RESTS * (clock() - began_s))


async def steer(plane: ControlPlane) -> None:
    """Let every rollout go as far as it may; one that cannot be looked at holds up no other."""
    has_changed = False
    steered = await plane.threads.read(plane.orchestrator.steered)
    for rollout in plane.wave_files.begin(steered):
        try:
            has_changed |= await _steer(plane, rollout)
        except Exception:  # noqa: BLE001 - logged, and the next run may do better
            _log.exception("what the rollout %s does next could not be told", rollout.id)
    if has_changed:
        await plane.threads.read(plane.offers.refresh)
    for rollout in await plane.threads.read(plane.ended_rollouts.left):
        await _end_devices(plane, rollout)


async def _end_devices(plane: ControlPlane, rollout: Rollout) -> None:
    """End devices of a rollout that is over, some thousand at most; the rest in the next run."""
    for _ in range(AT_ONCE):
        if not await plane.threads.write(plane.ended_rollouts.end_some, rollout):
            break


async def _steer(plane: ControlPlane, rollout: Rollout) -> bool:
    """Take the steps that a rollout may take now, a few at most; return whether there was one."""
    orchestrator, threads = plane.orchestrator, plane.threads
    for _ in range(AT_ONCE):
        if not await threads.read(orchestrator.has_silent, rollout):
            break
        await threads.write(orchestrator.give_up_on_silent, rollout)
    has_changed = False
    for _ in range(AT_ONCE):
        decided = await threads.read(orchestrator.look, rollout)
        following = None if decided is None else await _with_files(plane, rollout, decided)
        if following is None:
            break
        if not await threads.write(orchestrator.take, rollout, following):
            break  # somebody else was first, and will look again, as this one will
        has_changed = True
    return has_changed


async def _with_files(
    plane: ControlPlane, rollout: Rollout, decided: Transition
) -> Transition | None:
    """Return what follows from a decision; of one that sends more devices, by what is kept."""
    if not decided.offers_to_more:
        return decided
    files = await plane.threads.read(plane.wave_files.needed, rollout)
    return await plane.threads.move(plane.wave_files.following, rollout, decided, files)
