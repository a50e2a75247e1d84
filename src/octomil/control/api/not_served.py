"""Calls of published clients that are known and not served: 501, so that nobody guesses why."""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Security
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.callers import caller_of
from octomil.control.scopes import (
    DEVICES_READ,
    MODELS_READ,
    MODELS_WRITE,
    TRAINING_READ,
    TRAINING_WRITE,
)
from octomil.errors import NotImplementedYetError
from octomil.wire.problems import Problem

_MODEL = "/models/{model_id}"
_FEDERATION = "/federations/{federation_id}"
_ANALYTICS = f"{_FEDERATION}/analytics"
_SECAGG = "/training/rounds/{round_id}/secagg"

CALLS: Final[Mapping[tuple[str, str], str]] = {
    ("GET", f"{_MODEL}/optimized-config/{{device_type}}"): MODELS_READ,
    ("POST", f"{_MODEL}/optimize"): MODELS_READ,
    ("GET", f"{_MODEL}/compatibility"): MODELS_READ,
    ("GET", "/training/{model_id}/status"): TRAINING_READ,
    ("POST", "/training/{model_id}/stop"): TRAINING_WRITE,
    ("POST", "/training/sessions"): TRAINING_WRITE,
    ("POST", "/deploy/prepare"): MODELS_WRITE,
    ("POST", "/deploy/execute"): MODELS_WRITE,
    ("POST", "/integrations/huggingface/import"): MODELS_WRITE,
    ("POST", "/feature-alignment/projection-matrix"): TRAINING_WRITE,
    ("GET", "/device-config"): DEVICES_READ,
    ("GET", "/experiments"): TRAINING_READ,
    ("POST", "/experiments"): TRAINING_WRITE,
    ("GET", "/experiments/{experiment_id}"): TRAINING_READ,
    ("POST", "/federations"): TRAINING_WRITE,
    ("GET", _FEDERATION): TRAINING_READ,
    ("GET", f"{_FEDERATION}/members"): TRAINING_READ,
    ("POST", f"{_FEDERATION}/join"): TRAINING_WRITE,
    ("GET", f"{_FEDERATION}/models"): TRAINING_READ,
    ("POST", f"{_FEDERATION}/models"): TRAINING_WRITE,
    ("POST", f"{_ANALYTICS}/descriptive"): TRAINING_READ,
    ("POST", f"{_ANALYTICS}/t-test"): TRAINING_READ,
    ("POST", f"{_ANALYTICS}/chi-square"): TRAINING_READ,
    ("POST", f"{_ANALYTICS}/anova"): TRAINING_READ,
    ("GET", f"{_ANALYTICS}/queries"): TRAINING_READ,
    ("GET", f"{_ANALYTICS}/queries/{{query_id}}"): TRAINING_READ,
    ("GET", f"{_SECAGG}/session"): TRAINING_READ,
    ("POST", f"{_SECAGG}/shares"): TRAINING_WRITE,
    ("POST", f"{_SECAGG}/masked"): TRAINING_WRITE,
    ("POST", f"{_SECAGG}/unmask"): TRAINING_WRITE,
}
"""Method and path → the scope that is asked for; one that comes to be served is taken out."""


NOT_SERVED: Final[dict[int | str, dict[str, Any]]] = {
    501: {"model": Problem, "description": "Known, and not served here."}
}
"""For routes of which all or some calls are answered so."""


async def _refuse(request: Request) -> Response:
    """Say that this is not served."""
    raise NotImplementedYetError(f"{request.method} {request.url.path} is not served here")


def _refusals() -> APIRouter:
    router = APIRouter(tags=["not served"])
    for (method, path), scope in CALLS.items():
        named = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", path)
        ]
        router.add_api_route(
            path,
            _refuse,
            methods=[method],
            dependencies=[Security(caller_of, scopes=[scope])],
            responses=NOT_SERVED,
            openapi_extra={"parameters": named} if named else None,
        )
    return router


router = _refusals()
"""To be asked after all others."""
