"""Steering rollouts: looking at each, taking the steps that come of it, telling the devices."""

import logging

from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout

_log = logging.getLogger("octomil.control")


async def steer(plane: ControlPlane) -> None:
    """Let every rollout go as far as it may; one that cannot be looked at holds up no other."""
    has_changed = False
    for rollout in await plane.threads.read(plane.orchestrator.steered):
        try:
            has_changed |= await _steer(plane, rollout)
        except Exception:  # noqa: BLE001 - logged, and the next run may do better
            _log.exception("what the rollout %s does next could not be told", rollout.id)
    if has_changed:
        await plane.threads.read(plane.offers.refresh)


async def _steer(plane: ControlPlane, rollout: Rollout) -> bool:
    """Take all the steps that a rollout may take now; return whether there was one."""
    orchestrator, threads = plane.orchestrator, plane.threads
    while await threads.read(orchestrator.has_silent, rollout):
        await threads.write(orchestrator.give_up_on_silent, rollout)
    has_changed = False
    while True:
        decided = await threads.read(orchestrator.look, rollout)
        if decided is None:
            return has_changed
        if not await threads.write(orchestrator.take, rollout, decided):
            return has_changed  # somebody else was first, and will look again, as this one will
        has_changed = True
