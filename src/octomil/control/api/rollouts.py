"""`/models/{id}/rollouts`: begun, steered, looked at."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.kept_files import files_of_rollout, files_of_share, files_of_version
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.api.rollout_views import rollout_device_page, rollout_view, transition_view
from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.scopes import ROLLOUTS_READ, ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.kept_files import KeptFiles
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


def rollouts_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["rollouts"], route_class=StrictJsonRoute)
    _add_reading(router, plane)
    _add_ends(router, plane)
    _add_steering(router, plane)
    _add_changes_of_share(router, plane)
    return router


def _add_reading(router: APIRouter, plane: ControlPlane) -> None:
    reader = Security(caller_dependency(plane), scopes=[ROLLOUTS_READ])
    service, threads = plane.rollouts, plane.threads

    @router.get(_ALL)
    async def list_all(
        model_id: PathText,
        caller: Annotated[Caller, reader],
        status_filter: RolloutState | None = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Sequence[RolloutView]:
        """Return a model's rollouts, newest first."""
        found = await threads.read(
            service.list, caller, model_id, status_filter, limit=limit, offset=offset
        )
        return [rollout_view(*each) for each in found]

    @router.get(f"{_ALL}/active")
    async def list_active(
        model_id: PathText, caller: Annotated[Caller, reader]
    ) -> Sequence[RolloutView]:
        """Return a model's rollouts under way: active or paused."""
        found = await threads.read(service.under_way, caller, model_id)
        return [rollout_view(*each) for each in found]

    @router.get(_ONE)
    async def get(
        model_id: PathText, rollout_id: PathText, caller: Annotated[Caller, reader]
    ) -> RolloutView:
        """Return a rollout, with how many devices run its version."""
        return rollout_view(*await threads.read(service.get, caller, model_id, rollout_id))

    @router.get(f"{_ONE}/status-history")
    async def history(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, reader],
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Sequence[TransitionView]:
        """Return what happened to a rollout, oldest first: who, when, why, by what evidence."""
        found = await threads.read(
            service.history, caller, model_id, rollout_id, limit=limit, offset=offset
        )
        return [transition_view(each) for each in found]

    @router.get(f"{_ONE}/affected-devices")
    async def affected(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, reader],
        limit: PageLimit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> RolloutDevicePage:
        """Return the devices that took a rollout's version, and where they stand with it."""
        found = await threads.read(service.affected, caller, model_id, rollout_id, cursor, limit)
        return rollout_device_page(model_id, found)


def _add_ends(router: APIRouter, plane: ControlPlane) -> None:
    writer = Security(caller_dependency(plane), scopes=[ROLLOUTS_WRITE])
    service, threads = plane.rollouts, plane.threads

    found = Depends(files_of_version(plane, writer))

    @router.post(_ALL, status_code=201)
    async def create(
        model_id: PathText,
        body: RolloutRequest,
        caller: Annotated[Caller, writer],
        files: Annotated[KeptFiles, found],
    ) -> RolloutView:
        """Begin to bring a published version to the devices."""
        return await _done(plane, service.create, caller, model_id, body, files)

    @router.delete(_ONE)
    async def delete(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        force: bool = False,
    ) -> Deleted:
        """Remove a rollout; devices are told to run what was rolled out before it."""
        await threads.write(service.delete, caller, model_id, rollout_id, force=force)
        await threads.afterwards(plane.offers.refresh)
        return Deleted(id=rollout_id)


def _add_steering(router: APIRouter, plane: ControlPlane) -> None:
    """Add what needs no more than a reason."""
    writer = Security(caller_dependency(plane), scopes=[ROLLOUTS_WRITE])
    service = plane.rollouts
    found = Depends(files_of_rollout(plane, writer))

    @router.post(f"{_ONE}/start")
    async def start(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        files: Annotated[KeptFiles, found],
        body: ReasonRequest | None = None,
    ) -> RolloutView:
        """Offer a pending rollout's version to the first devices."""
        return await _done(plane, service.start, caller, model_id, rollout_id, _why(body), files)

    @router.post(f"{_ONE}/pause")
    async def pause(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        body: ReasonRequest | None = None,
    ) -> RolloutView:
        """Offer the version to nobody new; who has it keeps it."""
        return await _done(plane, service.pause, caller, model_id, rollout_id, _why(body))

    @router.post(f"{_ONE}/resume")
    async def resume(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        body: ReasonRequest | None = None,
    ) -> RolloutView:
        """Go on after a pause."""
        return await _done(plane, service.resume, caller, model_id, rollout_id, _why(body))

    @router.post(f"{_ONE}/rollback")
    async def roll_back(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        body: ReasonRequest | None = None,
    ) -> RolloutView:
        """Take the version from every device; each goes back to what was rolled out before."""
        return await _done(plane, service.roll_back, caller, model_id, rollout_id, _why(body))


def _add_changes_of_share(router: APIRouter, plane: ControlPlane) -> None:
    writer = Security(caller_dependency(plane), scopes=[ROLLOUTS_WRITE])
    service = plane.rollouts
    found = Depends(files_of_rollout(plane, writer))
    found_of_share = Depends(files_of_share(plane, writer))

    @router.post(f"{_ONE}/advance")
    async def advance(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, writer],
        files: Annotated[KeptFiles, found],
        body: AdvanceRequest | None = None,
    ) -> RolloutView:
        """Take the next step, whatever the gates say; of the last step, complete the rollout."""
        wanted = body or AdvanceRequest()
        return await _done(plane, service.advance, caller, model_id, rollout_id, wanted, files)

    @router.post(f"{_ONE}/update-percentage")
    async def update_percentage(
        model_id: PathText,
        rollout_id: PathText,
        body: PercentageRequest,
        caller: Annotated[Caller, writer],
        files: Annotated[KeptFiles, found_of_share],
    ) -> RolloutView:
        """Let it go up to another share of the devices; less takes it from some, and pauses."""
        return await _done(plane, service.set_percentage, caller, model_id, rollout_id, body, files)


async def _done(plane: ControlPlane, act: Callable[..., Rollout], *arguments: Any) -> RolloutView:
    """Do something to a rollout, and tell the devices of it before the caller hears of it."""
    rollout = await plane.threads.write(act, *arguments)
    await plane.threads.afterwards(plane.offers.refresh)
    return rollout_view(rollout)


def _why(body: ReasonRequest | None) -> str:
    return body.reason or "" if body is not None else ""
