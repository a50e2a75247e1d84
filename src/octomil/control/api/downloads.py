"""Downloads: of a version's files with a key, and by links that authorise themselves."""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Security
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from octomil.control.api.callers import OPEN, caller_of
from octomil.control.api.failures import address_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, PathText
from octomil.control.api.planes import Plane
from octomil.control.api.problems import problem_response
from octomil.control.api.ranges import has_tag, span_of
from octomil.control.moments import shown
from octomil.control.plane import ControlPlane
from octomil.control.scopes import MODELS_READ
from octomil.control.services.callers import Caller
from octomil.control.services.download_links import DownloadLink
from octomil.control.services.downloads import LATEST
from octomil.control.threads import ServiceThreads
from octomil.errors import RangeNotSatisfiableError
from octomil.wire.uploads import DownloadUrl

_BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file's bytes."}
}
_MAX_S = 2**53
_NEVER_CHANGES = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"  # by its ETag, which costs no bytes
_Text = Annotated[str, Query(max_length=512, pattern=r"^[^\u0000]*$")]
_Format = Annotated[str | None, Query(alias="format", max_length=32, pattern=r"^[a-z0-9_.-]*$")]

router = APIRouter(tags=["downloads"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
_DOWNLOAD = "/models/{model_id}/versions/{version}/download"


@router.head(_DOWNLOAD, response_class=Response)
@router.get(_DOWNLOAD, response_class=Response, responses=_BINARY)
async def download(
    plane: Plane,
    model_id: PathText,
    version: PathText,
    request: Request,
    caller: _Reader,
    format_: _Format = None,
) -> Response:
    """Return a version's file in a format; the one that was uploaded if none is named."""
    found, file = await plane.threads.read(plane.downloads.find, caller, model_id, version, format_)
    name = _name(f"{model_id}-{found.number}", file.format)
    is_named = version != LATEST and format_ is not None
    cached = _NEVER_CHANGES if is_named and found.published_at else _ASK_AGAIN
    return await _answer(plane, request, _Content(file.digest, file.size_bytes, name, cached))


@router.get("/models/{model_id}/versions/{version}/download-url")
async def download_url(
    plane: Plane,
    model_id: PathText,
    version: PathText,
    request: Request,
    caller: _Reader,
    format_: _Format = None,
) -> DownloadUrl:
    """Return a URL that is good for one file, without a key, for an hour."""
    found, file = await plane.threads.read(plane.downloads.find, caller, model_id, version, format_)
    name = _name(f"{model_id}-{found.number}", file.format)
    link, expires_at = await plane.threads.read(
        plane.download_links.give, caller.organisation, file.digest, name
    )
    return DownloadUrl(
        url=_url(plane.public_url or str(request.base_url).rstrip("/"), link),
        expires_at=shown(expires_at),
        format=file.format,
        sha256=file.digest,
        size_bytes=file.size_bytes,
    )


@router.head("/blobs/{digest}", response_class=Response, dependencies=[OPEN])
@router.get("/blobs/{digest}", response_class=Response, responses=_BINARY, dependencies=[OPEN])
async def blob(
    plane: Plane,
    digest: PathText,
    request: Request,
    org_id: _Text,
    expires: Annotated[int, Query(ge=0, le=_MAX_S), DIGITS],
    name: _Text,
    key: _Text,
    signature: _Text,
) -> Response:
    """Return the file that a download link is for."""
    link = DownloadLink(digest=digest, organisation=org_id, expires_s=expires, name=name,
                        key_id=key, signature=signature)  # fmt: skip
    async with plane.failures.counted(address_of(request.scope)):
        await plane.threads.read(plane.download_links.require_true, link)
    plane.download_links.require_current(link)
    size = await plane.threads.read(plane.downloads.held_size, org_id, digest)
    return await _answer(plane, request, _Content(digest, size, name, _NEVER_CHANGES))


@dataclass(frozen=True, slots=True)
class _Content:
    """What is to be sent.

    Attributes:
        cached: how long its address means these bytes, as `Cache-Control` says it.
    """

    digest: str
    size: int
    name: str
    cached: str

    @property
    def tag(self) -> str:
        return f'"{self.digest}"'


async def _answer(plane: ControlPlane, request: Request, content: _Content) -> Response:
    """Answer with a file or the part of it that is asked for, or tell that it did not change."""
    headers = _headers(content)
    if has_tag(request.headers.get("if-none-match"), content.tag):
        return Response(status_code=304, headers=headers)
    try:
        span = span_of(_range_of(request, content), content.size)
    except RangeNotSatisfiableError as error:
        whole = {"content-range": f"bytes */{content.size}"}
        return problem_response(request.scope, error, whole)
    start, end = span or (0, content.size)
    headers["content-length"] = str(end - start)
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    else:
        headers["content-digest"] = headers["repr-digest"]
    status = 200 if span is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="application/octet-stream")
    pieces = await plane.threads.move(plane.blobs.read, content.digest, start, end)
    return StreamingResponse(
        _read_ahead(plane.threads, pieces),
        status_code=status,
        headers=headers,
        media_type="application/octet-stream",
    )


def _range_of(request: Request, content: _Content) -> str | None:
    """Return the part that is asked for: of a GET (RFC 9110, 14.2), and of the file it knows."""
    if_range = request.headers.get("if-range")
    is_another = if_range is not None and if_range != content.tag
    return None if request.method != "GET" or is_another else request.headers.get("range")


def _headers(content: _Content) -> dict[str, str]:
    """Return what is said about the whole file; digests as in RFC 9530."""
    digest = b64encode(bytes.fromhex(content.digest)).decode()
    return {
        "etag": content.tag,
        "repr-digest": f"sha-256=:{digest}:",
        "accept-ranges": "bytes",
        "cache-control": content.cached,
        "content-disposition": f"attachment; filename*=UTF-8''{quote(content.name)}",
        "x-content-type-options": "nosniff",
    }


async def _read_ahead(threads: ServiceThreads, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await threads.move(next, pieces, b""):
        yield piece


def _name(stem: str, format_: str) -> str:
    return f"{stem}.{format_}"


def _url(base: str, link: DownloadLink) -> str:
    query = urlencode(
        {
            "org_id": link.organisation,
            "expires": link.expires_s,
            "name": link.name,
            "key": link.key_id,
            "signature": link.signature,
        }
    )
    return f"{base}/api/v1/blobs/{link.digest}?{query}"
