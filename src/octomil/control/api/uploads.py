"""`/uploads`: files that are sent in as many requests as it takes."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response, Security
from starlette.requests import Request

from octomil.control.api.arriving import SpoolWriter, pieces_of
from octomil.control.api.callers import caller_dependency
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, PathText
from octomil.control.plane import ControlPlane
from octomil.control.records import Blob, Upload
from octomil.control.scopes import MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.uploads import CompleteRequest, DeletedUpload, UploadRequest, UploadView

MAX_OFFSET = 2**63 - 1


def uploads_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service, threads = plane.uploads, plane.threads

    async def renewed(caller: Caller, upload: Upload) -> None:
        """Begin its time anew, now and then: what is worked on is not abandoned."""
        if service.is_to_be_renewed(upload):
            await threads.write(service.renew, caller, upload)

    @router.post("", status_code=201)
    async def begin(
        body: UploadRequest, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]
    ) -> UploadView:
        """Begin an upload; its bytes follow by `PATCH`."""
        return await threads.write(service.begin, caller, body)

    @router.get("/{upload_id}")
    async def get(
        upload_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]
    ) -> UploadView:
        """Return an upload and how far it got."""
        return await threads.read(service.get, caller, upload_id)

    @router.head("/{upload_id}", response_class=Response)
    async def head(
        upload_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]
    ) -> Response:
        """Tell by `Upload-Offset` how far an upload got."""
        return Response(headers=_progress(await threads.read(service.get, caller, upload_id)))

    @router.patch("/{upload_id}", dependencies=[UNKEYED])
    async def append(
        upload_id: PathText,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
        upload_offset: Annotated[int, Header(ge=0, le=MAX_OFFSET), DIGITS],
    ) -> UploadView:
        """Add the body at `Upload-Offset`; what is acknowledged survives a loss of power."""
        upload = await threads.read(service.find_open, caller, upload_id)
        await renewed(caller, upload)
        writer = SpoolWriter(threads, partial(service.append, upload), upload_offset)
        try:
            async for piece in pieces_of(request):
                await writer.write(piece)
            await writer.flush()
        finally:
            await asyncio.shield(writer.abandon())
        await threads.move(service.acknowledge, upload)
        await renewed(caller, upload)
        view = await threads.read(service.get, caller, upload_id)
        response.headers.update(_progress(view))
        return view

    @router.post("/{upload_id}/complete", dependencies=[UNKEYED])
    async def complete(
        upload_id: PathText,
        body: CompleteRequest,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> UploadView:
        """Check the whole against its SHA-256 and keep it; once more changes nothing."""
        upload = await threads.read(service.find, caller, upload_id)
        await renewed(caller, upload)
        blob = await asyncio.shield(_kept(plane, upload, body))
        return await threads.write(service.complete, caller, upload_id, blob)

    @router.delete("/{upload_id}")
    async def give_up(
        upload_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]
    ) -> DeletedUpload:
        """Forget an upload."""
        await threads.write(service.give_up, caller, upload_id)
        await threads.move(service.drop, upload_id)
        return DeletedUpload()

    return router


async def _kept(plane: ControlPlane, upload: Upload, asked: CompleteRequest) -> Blob | None:
    """Wait for an upload's turn before there is a thread for it, and keep it as long."""
    async with plane.uploads.turn(upload):
        return await plane.threads.work(
            upload.organisation, plane.uploads.keep, upload, asked.sha256, asked.format
        )


def _progress(view: UploadView) -> dict[str, str]:
    return {
        "upload-offset": str(view.offset),
        "upload-length": str(view.size_bytes),
        "cache-control": "no-store",
    }
