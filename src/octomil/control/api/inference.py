"""`/inference`: models answer, by whichever backend has them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import fields
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Security
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.callers import caller_of
from octomil.control.api.event_streams import EventStream
from octomil.control.api.hang_ups import while_connected
from octomil.control.api.idempotency import AWAITED, UNKEYED
from octomil.control.api.planes import Plane
from octomil.control.api.unprocessable import UnprocessableRoute
from octomil.control.scopes import INFERENCE
from octomil.control.services.callers import Caller
from octomil.wire.inference import (
    BatchAnswer,
    BatchRequest,
    InferenceAnswer,
    InferenceHealth,
    InferenceRequest,
    TokenEvent,
)

router = APIRouter(prefix="/inference", tags=["inference"], route_class=UnprocessableRoute)
_Asker = Annotated[Caller, Security(caller_of, scopes=[INFERENCE])]


_LAST: Final = tuple(field.name for field in fields(TokenEvent))
_EACH: Final = tuple(name for name in _LAST if name not in ("usage", "finish_reason"))

_encode = msgspec.json.Encoder().encode


@router.post("", response_model=InferenceAnswer, dependencies=[AWAITED])
async def answer(plane: Plane, request: Request, body: InferenceRequest, caller: _Asker) -> Any:
    """Answer a conversation in one piece."""
    return await while_connected(request, plane.inference.answer(caller, body))


@router.post(
    "/stream",
    response_class=Response,
    responses={200: {"content": {EventStream.media_type: {"schema": {"type": "string"}}}}},
    dependencies=[UNKEYED],
)
async def stream(plane: Plane, body: InferenceRequest, caller: _Asker) -> EventStream:
    """Answer a conversation token by token, as server-sent events."""
    return EventStream(_encoded(plane.inference.stream(caller, body)))


async def _encoded(events: AsyncGenerator[TokenEvent, None]) -> AsyncGenerator[bytes, None]:
    """Yield each event as JSON, without the fields that only the last one has."""
    async with aclosing(events):
        async for event in events:
            shown = {name: getattr(event, name) for name in (_LAST if event.done else _EACH)}
            yield _encode(shown)


@router.post("/batch", response_model=BatchAnswer, dependencies=[AWAITED])
async def batch(plane: Plane, request: Request, body: BatchRequest, caller: _Asker) -> Any:
    """Answer several conversations, each by itself; 200 also where some could not be answered."""
    return await while_connected(request, plane.inference.batch(caller, body))


@router.get("/health")
async def health(plane: Plane, _: _Asker) -> InferenceHealth:
    """Tell which backends are up, how fast they say so, and which models they have."""
    return await plane.inference.health()
