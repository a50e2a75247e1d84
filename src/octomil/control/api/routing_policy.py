"""`/route/policy`: what published clients route queries by."""

import hashlib
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Security
from starlette.responses import Response

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.ranges import has_tag
from octomil.control.scopes import INFERENCE
from octomil.routing.policy import POLICY
from octomil.wire.placement import PolicyThresholds, RoutingPolicyView

_TAG_DIGITS = 32
_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The client's copy is up to date."}
}


def _view() -> RoutingPolicyView:
    return RoutingPolicyView(
        version=POLICY.version,
        thresholds=PolicyThresholds(
            fast_max_words=POLICY.fast_max_words, quality_min_words=POLICY.quality_min_words
        ),
        complex_indicators=list(POLICY.complex_indicators),
        deterministic_enabled=POLICY.deterministic_enabled,
        ttl_seconds=POLICY.ttl_seconds,
        length_weight=POLICY.length_weight,
        indicator_weight=POLICY.indicator_weight,
        fast_threshold=POLICY.fast_threshold,
        quality_threshold=POLICY.quality_threshold,
        indicator_normalizor=POLICY.indicator_normalizor,
    )


_BODY: Final = msgspec.json.encode(_view())
_TAG: Final = f'"{hashlib.sha256(_BODY).hexdigest()[:_TAG_DIGITS]}"'
_HEADERS: Final = {"etag": _TAG, "cache-control": f"private, max-age={POLICY.ttl_seconds}"}

router = APIRouter(tags=["placement"], route_class=StrictJsonRoute)


@router.get(
    "/route/policy",
    response_model=RoutingPolicyView,
    responses=_UNCHANGED,
    dependencies=[Security(caller_of, scopes=[INFERENCE])],
)
async def policy(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Return what published clients route queries by."""
    if has_tag(if_none_match, _TAG):
        return Response(status_code=304, headers=_HEADERS)
    return Response(_BODY, media_type="application/json", headers=_HEADERS)
