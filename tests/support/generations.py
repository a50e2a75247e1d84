"""What clients tell of generations, as they send it."""

from typing import Any

import httpx

from support.control import API, WallClock

EVENTS = f"{API}/inference/events"

PUBLISHED: dict[str, Any] = {
    "device_id": "box-1",
    "model_id": "phi-4-mini",
    "version": "1.0.0",
    "modality": "text",
    "session_id": "a",
    "event_type": "generation_completed",
    "org_id": "default",
    "metrics": {
        "ttfc_ms": 120.0,
        "total_chunks": 101,
        "total_duration_ms": 620.0,
        "throughput": 162.9,
    },
}
"""An event as the published client sends it, without its time."""


def event(session_id: str, clock: WallClock, /, **changes: Any) -> dict[str, Any]:
    """An event that happens now."""
    at_ms = int(clock().timestamp() * 1e3)
    return {**PUBLISHED, "timestamp_ms": at_ms, "session_id": session_id, **changes}


async def told(client: httpx.AsyncClient, *events: dict[str, Any]) -> dict[str, int]:
    """What the control plane answers to some events."""
    answer = await client.post(EVENTS, json={"events": list(events)})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def quality(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    """How generations of the model went."""
    query = {"model_id": PUBLISHED["model_id"], **query}
    answer = await client.get(f"{API}/inference/quality", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
