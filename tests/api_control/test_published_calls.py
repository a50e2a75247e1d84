"""What published clients ask for beside all that is served: known, and told plainly."""

import httpx
import pytest

from octomil.control.api.not_served import CALLS
from support.control import API


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_a_call_that_is_known_and_not_served_says_so(
    admin: httpx.AsyncClient, method: str, path: str
):
    asked = path.format(model_id="m", rollout_id="rol_1", device_type="iphone")
    body = {} if method == "POST" else None

    answer = await admin.request(method, f"{API}{asked}", json=body)

    assert (answer.status_code, answer.json()["error"]) == (501, "not_implemented")
    assert asked in answer.json()["message"]


async def test_there_are_no_federations(admin: httpx.AsyncClient):
    """Published clients look here for a model whose name they do not find, and want a bare list."""
    answer = await admin.get(f"{API}/federations", params={"org_id": "default"})
    others = await admin.get(f"{API}/federations", params={"org_id": "globex"})

    assert (answer.status_code, answer.json()) == (200, [])
    assert others.status_code == 403


async def test_telemetry_of_published_clients_is_taken(anybody: httpx.AsyncClient):
    answer = await anybody.post("/api/v2/telemetry/events", json={"resourceLogs": []})

    assert (answer.status_code, answer.json()) == (200, {})
