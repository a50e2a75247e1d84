"""`/inference`: models answer, by whichever backend has them."""

from typing import Annotated, Any

from fastapi import APIRouter, Security
from starlette.requests import Request

from octomil.control.api.callers import caller_of
from octomil.control.api.hang_ups import while_connected
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.planes import Plane
from octomil.control.api.unprocessable import UnprocessableRoute
from octomil.control.scopes import INFERENCE
from octomil.control.services.callers import Caller
from octomil.wire.inference import InferenceAnswer, InferenceRequest

router = APIRouter(prefix="/inference", tags=["inference"], route_class=UnprocessableRoute)
_Asker = Annotated[Caller, Security(caller_of, scopes=[INFERENCE])]


@router.post("", response_model=InferenceAnswer, dependencies=[UNKEYED])
async def answer(plane: Plane, request: Request, body: InferenceRequest, caller: _Asker) -> Any:
    """Answer a conversation in one piece."""
    return await while_connected(request, plane.inference.answer(caller, body))
