"""What is found of a version's files, before a route sends more devices for them.

It is asked for beside the route: files may be far away, and whoever writes is not kept waiting.
"""

from typing import Annotated

from fastapi import Depends, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.kept_files import KeptFiles
from octomil.wire.rollouts import PercentageRequest, RolloutRequest

# Declared as the routes themselves do, so that the framework asks once who calls.
_Writer = Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])]


async def _of_version(
    plane: Plane, model_id: PathText, body: RolloutRequest, caller: _Writer
) -> KeptFiles:
    return await plane.threads.move(plane.file_looks.of_version, caller, model_id, body.version)


async def _of_rollout(
    plane: Plane, model_id: PathText, rollout_id: PathText, caller: _Writer
) -> KeptFiles:
    return await plane.threads.move(plane.file_looks.of_rollout, caller, model_id, rollout_id)


async def _of_share(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    body: PercentageRequest,
    caller: _Writer,
) -> KeptFiles:
    looks, share = plane.file_looks, body.percentage
    return await plane.threads.move(looks.of_rollout, caller, model_id, rollout_id, share)


FilesOfVersion = Annotated[KeptFiles, Depends(_of_version)]
"""What is found of the files of the version that a new rollout is of."""
FilesOfRollout = Annotated[KeptFiles, Depends(_of_rollout)]
"""What is found of the files of a rollout's version."""
FilesOfShare = Annotated[KeptFiles, Depends(_of_share)]
"""The same, where a rollout is to go up to more than it does."""
