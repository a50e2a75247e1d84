"""What is found of a version's files, before a route sends more devices for them.

It is asked for beside the route: files may be far away, and whoever writes is not kept waiting.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from octomil.control.api.parameters import PathText
from octomil.control.plane import ControlPlane
from octomil.control.services.callers import Caller
from octomil.control.services.kept_files import KeptFiles
from octomil.wire.rollouts import PercentageRequest, RolloutRequest

Look = Callable[..., Awaitable[KeptFiles]]


def files_of_version(plane: ControlPlane, writer: Any) -> Look:
    """Return what looks for the files of the version that a new rollout is of.

    Args:
        plane: whose files.
        writer: what the route itself asks the framework for, to know the caller.
    """

    async def look(
        model_id: PathText, body: RolloutRequest, caller: Annotated[Caller, writer]
    ) -> KeptFiles:
        looks, threads = plane.file_looks, plane.threads
        return await threads.move(looks.of_version, caller, model_id, body.version)

    return look


def files_of_rollout(plane: ControlPlane, writer: Any) -> Look:
    """Return what looks for the files of a rollout's version."""

    async def look(
        model_id: PathText, rollout_id: PathText, caller: Annotated[Caller, writer]
    ) -> KeptFiles:
        looks, threads = plane.file_looks, plane.threads
        return await threads.move(looks.of_rollout, caller, model_id, rollout_id)

    return look


def files_of_share(plane: ControlPlane, writer: Any) -> Look:
    """Return what looks for them where a rollout is to go up to more than it does."""

    async def look(
        model_id: PathText,
        rollout_id: PathText,
        body: PercentageRequest,
        caller: Annotated[Caller, writer],
    ) -> KeptFiles:
        looks, share = plane.file_looks, body.percentage
        return await plane.threads.move(looks.of_rollout, caller, model_id, rollout_id, share)

    return look
