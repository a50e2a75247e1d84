"""What published clients ask for beside all that is served: known, and told plainly."""

import httpx
import pytest

from support.control import API

NOT_SERVED = [
    "GET /models/m/optimized-config/iphone",
    "POST /models/m/optimize",
    "GET /models/m/compatibility?devices=iphone",
    "GET /training/m/status",
    "POST /training/m/stop",
    "POST /training/sessions",
    "POST /deploy/prepare",
    "POST /deploy/execute",
    "POST /integrations/huggingface/import",
    "POST /feature-alignment/projection-matrix",
    "GET /device-config",
    "GET /experiments",
    "POST /experiments",
    "GET /experiments/exp_1",
    "POST /federations",
    "GET /federations/fed_1",
    "GET /federations/fed_1/members",
    "POST /federations/fed_1/join",
    "GET /federations/fed_1/models",
    "POST /federations/fed_1/models",
    "POST /federations/fed_1/analytics/descriptive",
    "POST /federations/fed_1/analytics/t-test",
    "POST /federations/fed_1/analytics/chi-square",
    "POST /federations/fed_1/analytics/anova",
    "GET /federations/fed_1/analytics/queries",
    "GET /federations/fed_1/analytics/queries/q_1",
    "GET /training/rounds/r_1/secagg/session?device_id=d",
    "POST /training/rounds/r_1/secagg/shares?device_id=d",
    "POST /training/rounds/r_1/secagg/masked?device_id=d",
    "POST /training/rounds/r_1/secagg/unmask?device_id=d&peer_id=e",
]
"""What published clients send, by what was read in them, not by what is known to be served."""


@pytest.mark.parametrize("call", NOT_SERVED)
async def test_a_call_that_is_known_and_not_served_says_so(admin: httpx.AsyncClient, call: str):
    method, asked = call.split()
    is_masked = "/secagg/" in asked  # sent as octets
    sent = {"content": b"\0"} if is_masked else {"json": {}}

    answer = await admin.request(method, API + asked, **(sent if method == "POST" else {}))

    assert (answer.status_code, answer.json()["error"]) == (501, "not_implemented")
    assert asked.partition("?")[0] in answer.json()["message"]


async def test_there_are_no_federations(admin: httpx.AsyncClient):
    """Published clients look here for a model whose name they do not find, and want a bare list."""
    answer = await admin.get(f"{API}/federations", params={"org_id": "default"})
    others = await admin.get(f"{API}/federations", params={"org_id": "globex"})

    assert (answer.status_code, answer.json()) == (200, [])
    assert others.status_code == 403


async def test_telemetry_of_published_clients_is_taken(anybody: httpx.AsyncClient):
    answer = await anybody.post("/api/v2/telemetry/events", json={"resourceLogs": []})

    assert (answer.status_code, answer.json()) == (200, {})
