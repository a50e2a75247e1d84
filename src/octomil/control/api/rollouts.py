"""`/models/{id}/rollouts`: begun, steered, looked at."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.kept_files import FilesOfRollout, FilesOfShare, FilesOfVersion
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.api.planes import Plane
from octomil.control.api.rollout_views import rollout_device_page, rollout_view, transition_view
from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.scopes import ROLLOUTS_READ, ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.rollouts import DeviceCounts
from octomil.rollouts.states import RolloutState
from octomil.wire.models import Deleted
from octomil.wire.rollouts import (
    AdvanceRequest,
    PercentageRequest,
    ReasonRequest,
    RolloutDevicePage,
    RolloutRequest,
    RolloutView,
    TransitionView,
)

_ALL, _ONE = "/models/{model_id}/rollouts", "/models/{model_id}/rollouts/{rollout_id}"

router = APIRouter(tags=["rollouts"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])]


@router.get(_ALL)
async def list_all(
    plane: Plane,
    model_id: PathText,
    caller: _Reader,
    status_filter: RolloutState | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Sequence[RolloutView]:
    """Return a model's rollouts, newest first."""
    found = await plane.threads.read(
        plane.rollouts.list, caller, model_id, status_filter, limit=limit, offset=offset
    )
    return [_view(plane, *each) for each in found]


@router.get(f"{_ALL}/active")
async def list_active(plane: Plane, model_id: PathText, caller: _Reader) -> Sequence[RolloutView]:
    """Return a model's rollouts under way: active or paused."""
    found = await plane.threads.read(plane.rollouts.under_way, caller, model_id)
    return [_view(plane, *each) for each in found]


@router.get(_ONE)
async def get(
    plane: Plane, model_id: PathText, rollout_id: PathText, caller: _Reader
) -> RolloutView:
    """Return a rollout, what it waits for, and how many devices run its version."""
    found = await plane.threads.read(plane.rollouts.get, caller, model_id, rollout_id)
    return _view(plane, *found)


@router.get(f"{_ONE}/status-history")
async def history(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Reader,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Sequence[TransitionView]:
    """Return what happened to a rollout, oldest first: who, when, why, by what evidence."""
    found = await plane.threads.read(
        plane.rollouts.history, caller, model_id, rollout_id, limit=limit, offset=offset
    )
    return [transition_view(each) for each in found]


@router.get(f"{_ONE}/affected-devices")
async def affected(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Reader,
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> RolloutDevicePage:
    """Return the devices that took a rollout's version, and where they stand with it."""
    found = await plane.threads.read(
        plane.rollouts.affected, caller, model_id, rollout_id, cursor, limit
    )
    return rollout_device_page(model_id, found)


@router.post(_ALL, status_code=201)
async def create(
    plane: Plane, model_id: PathText, body: RolloutRequest, caller: _Writer, files: FilesOfVersion
) -> RolloutView:
    """Begin to bring a published version to the devices."""
    return await _done(plane, plane.rollouts.create, caller, model_id, body, files)


@router.delete(_ONE)
async def delete(
    plane: Plane, model_id: PathText, rollout_id: PathText, caller: _Writer, force: bool = False
) -> Deleted:
    """Remove a rollout; devices are told to run what was rolled out before it."""
    await plane.threads.write(plane.rollouts.delete, caller, model_id, rollout_id, force=force)
    await plane.threads.afterwards(plane.offers.refresh)
    return Deleted(id=rollout_id)


@router.post(f"{_ONE}/start")
async def start(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Writer,
    files: FilesOfRollout,
    body: ReasonRequest | None = None,
) -> RolloutView:
    """Offer a pending rollout's version to the first devices."""
    return await _done(plane, plane.rollouts.start, caller, model_id, rollout_id, _why(body), files)


@router.post(f"{_ONE}/pause")
async def pause(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Writer,
    body: ReasonRequest | None = None,
) -> RolloutView:
    """Offer the version to nobody new; who has it keeps it."""
    return await _done(plane, plane.rollouts.pause, caller, model_id, rollout_id, _why(body))


@router.post(f"{_ONE}/resume")
async def resume(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Writer,
    body: ReasonRequest | None = None,
) -> RolloutView:
    """Go on after a pause."""
    return await _done(plane, plane.rollouts.resume, caller, model_id, rollout_id, _why(body))


@router.post(f"{_ONE}/rollback")
async def roll_back(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Writer,
    body: ReasonRequest | None = None,
) -> RolloutView:
    """Take the version from every device; each goes back to what was rolled out before."""
    return await _done(plane, plane.rollouts.roll_back, caller, model_id, rollout_id, _why(body))


@router.post(f"{_ONE}/advance")
async def advance(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    caller: _Writer,
    files: FilesOfRollout,
    body: AdvanceRequest | None = None,
) -> RolloutView:
    """Take the next step, whatever the gates say; of the last step, complete the rollout."""
    wanted = body or AdvanceRequest()
    return await _done(plane, plane.rollouts.advance, caller, model_id, rollout_id, wanted, files)


@router.post(f"{_ONE}/update-percentage")
async def update_percentage(
    plane: Plane,
    model_id: PathText,
    rollout_id: PathText,
    body: PercentageRequest,
    caller: _Writer,
    files: FilesOfShare,
) -> RolloutView:
    """Let it go up to another share of the devices; less takes it from some, and pauses."""
    change = plane.rollouts.set_percentage
    return await _done(plane, change, caller, model_id, rollout_id, body, files)


async def _done(plane: ControlPlane, act: Callable[..., Rollout], *arguments: Any) -> RolloutView:
    """Do something to a rollout, and tell the devices of it before the caller hears of it."""
    rollout = await plane.threads.write(act, *arguments)
    await plane.threads.afterwards(plane.offers.refresh)
    return rollout_view(rollout)


def _view(plane: ControlPlane, rollout: Rollout, devices: DeviceCounts) -> RolloutView:
    return rollout_view(rollout, devices, plane.orchestrator.last_looks.of(rollout))


def _why(body: ReasonRequest | None) -> str:
    return body.reason or "" if body is not None else ""
