"""`/uploads`: files that are sent in as many requests as it takes."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response, Security
from starlette.requests import Request

from octomil.control.api.arriving import SpoolWriter, pieces_of
from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, PathText
from octomil.control.api.planes import Plane
from octomil.control.plane import ControlPlane
from octomil.control.records import Blob, Upload
from octomil.control.scopes import MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.uploads import CompleteRequest, DeletedUpload, UploadRequest, UploadView

MAX_OFFSET = 2**63 - 1

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=StrictJsonRoute)
_Writer = Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]


@router.post("", status_code=201)
async def begin(plane: Plane, body: UploadRequest, caller: _Writer) -> UploadView:
    """Begin an upload; its bytes follow by `PATCH`."""
    return await plane.threads.write(plane.uploads.begin, caller, body)


@router.get("/{upload_id}")
async def get(plane: Plane, upload_id: PathText, caller: _Writer) -> UploadView:
    """Return an upload and how far it got."""
    return await plane.threads.read(plane.uploads.get, caller, upload_id)


@router.head("/{upload_id}", response_class=Response)
async def head(plane: Plane, upload_id: PathText, caller: _Writer) -> Response:
    """Tell by `Upload-Offset` how far an upload got."""
    view = await plane.threads.read(plane.uploads.get, caller, upload_id)
    return Response(headers=_progress(view))


@router.patch("/{upload_id}", dependencies=[UNKEYED])
async def append(
    plane: Plane,
    upload_id: PathText,
    request: Request,
    response: Response,
    caller: _Writer,
    upload_offset: Annotated[int, Header(ge=0, le=MAX_OFFSET), DIGITS],
) -> UploadView:
    """Add the body at `Upload-Offset`; what is acknowledged survives a loss of power."""
    upload = await plane.threads.read(plane.uploads.find_open, caller, upload_id)
    await _renewed(plane, caller, upload)
    writer = SpoolWriter(plane.threads, partial(plane.uploads.append, upload), upload_offset)
    try:
        async for piece in pieces_of(request):
            await writer.write(piece)
        await writer.flush()
    finally:
        await asyncio.shield(writer.abandon())
    await plane.threads.move(plane.uploads.acknowledge, upload)
    await _renewed(plane, caller, upload)
    view = await plane.threads.read(plane.uploads.get, caller, upload_id)
    response.headers.update(_progress(view))
    return view


@router.post("/{upload_id}/complete", dependencies=[UNKEYED])
async def complete(
    plane: Plane, upload_id: PathText, body: CompleteRequest, caller: _Writer
) -> UploadView:
    """Check the whole against its SHA-256 and keep it; once more changes nothing."""
    upload = await plane.threads.read(plane.uploads.find, caller, upload_id)
    await _renewed(plane, caller, upload)
    blob = await asyncio.shield(_kept(plane, upload, body))
    return await plane.threads.write(plane.uploads.complete, caller, upload_id, blob)


@router.delete("/{upload_id}")
async def give_up(plane: Plane, upload_id: PathText, caller: _Writer) -> DeletedUpload:
    """Forget an upload."""
    await plane.threads.write(plane.uploads.give_up, caller, upload_id)
    await plane.threads.move(plane.uploads.drop, upload_id)
    return DeletedUpload()


async def _renewed(plane: ControlPlane, caller: Caller, upload: Upload) -> None:
    """Begin its time anew, now and then: what is worked on is not abandoned."""
    if plane.uploads.is_to_be_renewed(upload):
        await plane.threads.write(plane.uploads.renew, caller, upload)


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
