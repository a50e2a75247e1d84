"""`/embeddings`: texts become vectors, by whichever backend has the model."""

from typing import Annotated, Any

from fastapi import APIRouter, Security
from starlette.requests import Request

from octomil.control.api.callers import caller_of
from octomil.control.api.hang_ups import while_connected
from octomil.control.api.idempotency import AWAITED
from octomil.control.api.planes import Plane
from octomil.control.api.unprocessable import UnprocessableRoute
from octomil.control.scopes import INFERENCE
from octomil.control.services.callers import Caller
from octomil.wire.inference import EmbeddingsAnswer, EmbeddingsRequest

router = APIRouter(prefix="/embeddings", tags=["inference"], route_class=UnprocessableRoute)


@router.post("", response_model=EmbeddingsAnswer, dependencies=[AWAITED])
async def embed(
    plane: Plane,
    request: Request,
    body: EmbeddingsRequest,
    caller: Annotated[Caller, Security(caller_of, scopes=[INFERENCE])],
) -> Any:
    """Turn one text or several into vectors."""
    return await while_connected(request, plane.inference.embed(caller, body))
