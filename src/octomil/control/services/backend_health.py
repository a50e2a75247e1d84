"""How the backends fare: each is asked for its models, all at the same time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from octomil.control.services.backend_chain import Link, reason_of
from octomil.control.services.inference_values import since_ms
from octomil.errors import EngineAbsentError, OctomilError
from octomil.wire.inference import (
    BackendHealth,
    BackendStatusName,
    HealthName,
    InferenceHealth,
)

WITHIN_S: Final = 2.0
"""So long a backend may take to tell its models."""


async def health_of(
    links: Sequence[Link], clock_s: Callable[[], float], within_s: float = WITHIN_S
) -> InferenceHealth:
    """Return how backends fare.

    Args:
        links: the backends, in the order in which they are tried.
        clock_s: monotonic seconds.
        within_s: seconds that each may take.
    """
    found = await asyncio.gather(*(_looked_at(link, clock_s, within_s) for link in links))
    return InferenceHealth(status=_overall([each.status for each in found]), backends=found)


async def _looked_at(link: Link, clock_s: Callable[[], float], within_s: float) -> BackendHealth:
    began_s = clock_s()
    status: BackendStatusName = "up"
    models: Sequence[str] = ()
    detail = None
    try:
        async with asyncio.timeout(within_s):
            models = await link.backend.models()
    except TimeoutError:
        status, detail = "unknown", f"it did not tell its models within {within_s:g} s"
    except EngineAbsentError as error:
        status, detail = "absent", reason_of(error)
    except OctomilError as error:
        status, detail = "down", reason_of(error)
    return BackendHealth(
        name=link.name,
        status=status,
        latency_ms=since_ms(began_s, clock_s()) if status == "up" else None,
        models=sorted(models),
        detail=detail,
        is_asked=link.is_asked,
    )


def _overall(found: Sequence[BackendStatusName]) -> HealthName:
    ups, absent = found.count("up"), found.count("absent")
    if not ups:
        return "down"
    return "ok" if ups + absent == len(found) else "degraded"
