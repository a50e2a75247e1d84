"""`/api/v2/telemetry/events`: what published clients tell their maker; taken, and not kept."""

from typing import Any, Final

from fastapi import APIRouter

from octomil.control.api.callers import OPEN

TELEMETRY: Final = "/api/v2/telemetry/events"

router = APIRouter(tags=["operations"])


@router.post(TELEMETRY, dependencies=[OPEN])
async def take() -> dict[str, Any]:
    """Take what a published client reports, and drop it unread; OTLP's word for all is well."""
    return {}
