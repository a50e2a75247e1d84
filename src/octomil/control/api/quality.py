"""`/inference/quality` and `/inference/regressions`: how well generations went."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, Moment
from octomil.control.api.planes import Plane
from octomil.control.scopes import MODELS_READ
from octomil.control.services.callers import Caller
from octomil.control.services.quality import QualityQuery, Window
from octomil.wire.quality import QualityReport, RegressionReport
from octomil.wire.texts import Identifier

router = APIRouter(prefix="/inference", tags=["quality"], route_class=StrictJsonRoute)

_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
_Version = Annotated[Identifier | None, Query(description="Of this version alone.")]


def window(
    since: Annotated[Moment | None, Query(description="The first moment.")] = None,
    until: Annotated[Moment | None, Query(description="The first moment after it.")] = None,
) -> Window:
    """Read from when to when."""
    return Window(since=since, until=until)


_Window = Annotated[Window, Depends(window)]


@router.get("/quality")
async def quality(
    plane: Plane,
    caller: _Reader,
    window: _Window,
    model_id: Identifier,
    version: _Version = None,
    device_class: Annotated[
        Identifier | None, Query(description="Of devices of this class alone.")
    ] = None,
    step: Annotated[
        int | None,
        Query(ge=60, le=86_400, multiple_of=60, description="Seconds of a point of the series."),
        DIGITS,
    ] = None,
) -> QualityReport:
    """Return percentiles and counts of a model's generations, over time and by version."""
    query = QualityQuery(
        model_id=model_id,
        version=version,
        device_class=device_class,
        window=window,
        step_s=step,
    )
    return await plane.threads.read(plane.quality.report, caller, query)


@router.get("/regressions")
async def regressions(
    plane: Plane,
    caller: _Reader,
    window: _Window,
    model_id: Identifier,
    version: _Version = None,
) -> RegressionReport:
    """Compare a model's versions with those before them: which are slower, or fail more often."""
    query = QualityQuery(model_id=model_id, version=version, window=window)
    return await plane.threads.read(plane.quality.regressions, caller, query)
