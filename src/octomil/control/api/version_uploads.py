"""`/models/{id}/versions/upload` and the files of versions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Security
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from octomil.control.api.arriving import SpoolWriter, pieces_of
from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.multipart import FormReader, PartBegin, PartData, PartEnd
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.identifiers import new_id
from octomil.control.plane import ControlPlane
from octomil.control.scopes import MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.version_files import Part
from octomil.control.services.versions import view_of
from octomil.convert.formats import ONNX_DATA, Format
from octomil.errors import BadRequestError
from octomil.wire.uploads import VersionFileRequest
from octomil.wire.versions import VersionCreation, VersionView

FILE: Final = "file"
_FILE_PARTS = (FILE, ONNX_DATA)
_TEXTS = ("version", "description", "architecture")
_SIZES = ("input_dim", "hidden_dim", "output_dim")
_MAX_FIELDS = 32
_MAX_FIELD_BYTES = 64 * 1024

_VERSION: Final = TypeAdapter(VersionCreation)
_BODY: Mapping[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["version", FILE],
                "properties": {
                    "version": {"type": "string"},
                    "description": {"type": "string"},
                    "formats": {"type": "string", "description": "Names, separated by commas."},
                    "architecture": {"type": "string"},
                    **{name: {"type": "integer", "minimum": 1} for name in _SIZES},
                    FILE: {"type": "string", "format": "binary"},
                    ONNX_DATA: {"type": "string", "format": "binary"},
                },
            }
        }
    },
}

router = APIRouter(
    prefix="/models/{model_id}/versions", tags=["versions"], route_class=StrictJsonRoute
)
_Writer = Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]


@router.post(
    "/upload", status_code=201, openapi_extra={"requestBody": _BODY}, dependencies=[UNKEYED]
)
async def upload(
    plane: Plane, model_id: PathText, request: Request, caller: _Writer
) -> VersionView:
    """Make a version of the files in a form, which are looked through and kept."""
    await plane.threads.read(plane.version_files.require_model, caller, model_id)
    form = _Form(plane)
    try:
        await form.read(request)
        creation = _creation(form.fields)
        parts = await form.keep(caller)
        version = await plane.threads.write(
            plane.version_files.create_of, caller, model_id, creation, parts
        )
    finally:
        await asyncio.shield(form.drop())
    return view_of(version)


@router.post("/{version}/files")
async def add_file(
    plane: Plane, model_id: PathText, version: PathText, body: VersionFileRequest, caller: _Writer
) -> VersionView:
    """Add a file in another format, uploaded before."""
    return view_of(
        await plane.threads.write(plane.version_files.add, caller, model_id, version, body)
    )


def _creation(fields: Mapping[str, str]) -> VersionCreation:
    """Return what the fields of a form say about the version.

    Raises:
        RequestValidationError: they say what cannot be.
    """
    said: dict[str, Any] = {name: fields[name] for name in _TEXTS if name in fields}
    said["formats"] = [
        name for each in fields.get("formats", "").split(",") if (name := each.strip())
    ]
    said |= {name: _size(fields[name]) for name in _SIZES if name in fields}
    try:
        return _VERSION.validate_python(said)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error


def _size(text: str) -> int | str:
    """Return a size, or a text that is none as it is, for the checks to refuse."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else text


@dataclass(slots=True)
class _Arrived:
    """A file of the form, in the spool."""

    upload_id: str
    name: str


@dataclass(slots=True)
class _Form:
    """A form on its way in: small fields here, files in the spool."""

    plane: ControlPlane
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, _Arrived] = field(default_factory=dict)

    async def read(self, request: Request) -> None:
        """Take in the whole form.

        Raises:
            BadRequestError: it is broken, or has no file.
        """
        reader = FormReader(request.headers.get("content-type", ""))
        sink: _FieldSink | _FileSink | None = None
        try:
            async for piece in pieces_of(request):
                for event in reader.feed(piece):
                    match event:
                        case PartBegin():
                            sink = self._sink(event)
                        case PartData(data) if sink is not None:
                            await sink.write(data)
                        case PartEnd() if sink is not None:
                            await sink.end()
        finally:
            if isinstance(sink, _FileSink):
                await asyncio.shield(sink.writer.abandon())
        reader.close()
        if FILE not in self.files:
            raise BadRequestError(f"the form has no part {FILE!r} with a file")

    async def keep(self, caller: Caller) -> list[Part]:
        """Keep the files.

        Raises:
            BadRequestError: there are weights beside something else than an ONNX model.
            UnsupportedMediaError: a file is refused for its content.
        """
        work, intake, whose = self.plane.threads.work, self.plane.intake, caller.organisation
        main = self.files[FILE]
        parts = [Part(blob=await work(whose, intake.keep, main.upload_id), name=main.name)]
        if (data := self.files.get(ONNX_DATA)) is not None:
            if parts[0].blob.format != Format.ONNX:
                raise BadRequestError(f"{ONNX_DATA} goes with an ONNX model only")
            blob = await work(whose, intake.keep, data.upload_id, format_=ONNX_DATA)
            parts.append(Part(blob=blob, name=data.name))
        return parts

    async def drop(self) -> None:
        """Remove what is left in the spool."""
        for each in self.files.values():
            await self.plane.threads.move(self.plane.spool.drop, each.upload_id)

    def _sink(self, begin: PartBegin) -> "_FieldSink | _FileSink":
        if len(self.fields) + len(self.files) >= _MAX_FIELDS:
            raise BadRequestError(f"the form has more than {_MAX_FIELDS} parts")
        if begin.name in self.fields or begin.name in self.files:
            raise BadRequestError(f"the form has the part {begin.name!r} twice")
        if begin.name not in _FILE_PARTS:
            return _FieldSink(begin.name, self.fields)
        arrived = _Arrived(new_id("upl", self.plane.clock()), begin.filename or begin.name)
        self.files[begin.name] = arrived
        append = partial(self.plane.spool.append, arrived.upload_id)
        return _FileSink(SpoolWriter(self.plane.threads, append, 0))


class _FieldSink:
    """Where the bytes of a small field go."""

    def __init__(self, name: str, fields: dict[str, str]) -> None:
        self._name, self._fields, self._data = name, fields, bytearray()
        fields[name] = ""

    async def write(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > _MAX_FIELD_BYTES:
            raise BadRequestError(f"the part {self._name!r} is larger than 64 KiB")

    async def end(self) -> None:
        try:
            self._fields[self._name] = self._data.decode()
        except UnicodeDecodeError:
            raise BadRequestError(f"the part {self._name!r} is no UTF-8") from None


class _FileSink:
    """Where the bytes of a file go."""

    def __init__(self, writer: SpoolWriter) -> None:
        self.writer = writer

    async def write(self, data: bytes) -> None:
        await self.writer.write(data)

    async def end(self) -> None:
        await self.writer.flush()
