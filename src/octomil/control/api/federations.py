"""`/federations`: none can be made yet, and that is what asking for them tells."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.parameters import QueryText
from octomil.control.scopes import TRAINING_READ
from octomil.control.services.callers import Caller

router = APIRouter(tags=["federations"])


@router.get("/federations")
async def list_all(
    caller: Annotated[Caller, Security(caller_of, scopes=[TRAINING_READ])],
    org_id: QueryText = None,
    name: QueryText = None,  # noqa: ARG001 - published clients send it
) -> Sequence[dict[str, Any]]:
    """List the federations: there are none. Published clients look here for a model's name."""
    caller.require_organisation(org_id)
    return []
