"""A misspelt option is refused, and not left out: of rollouts, and of what devices can do."""

from typing import Any

import httpx
import pytest

from support.control import API
from support.rollouts import act, begun, shown

PHONE = {"platform": "linux", "total_memory_mb": 8192}
ASKED = {"model_id": "mnist", "model_params": 10**6, "model_size_mb": 4}


@pytest.mark.parametrize(
    ("options", "field", "meant"),
    [
        ({"dwell": 5}, "dwell", "dwell_s"),
        ({"gates": {"device": {"tolerated": 0.1}}}, "gates.device", "devices"),
        ({"gates": {"errors": {"tolerate": 0.1}}}, "gates.errors.tolerate", "tolerated"),
        ({"pacing": {"interval": 3}}, "pacing.interval", "interval_s"),
    ],
)
async def test_a_misspelt_option_of_a_rollout_is_refused_with_the_nearest(
    admin: httpx.AsyncClient, model: str, options: dict[str, Any], field: str, meant: str
):
    path = f"{API}/models/{model}/rollouts"

    answer = await admin.post(path, json={"version": "1.0.0", **options})

    assert answer.status_code == 400, answer.text
    (told,) = answer.json()["details"]["fields"]
    assert told["field"] == field
    assert told["problem"].endswith(f"did you mean '{meant}'?")
    assert (await admin.get(path)).json() == []


async def test_every_misspelt_option_is_told(admin: httpx.AsyncClient, model: str):
    body = {"version": "1.0.0", "dwell": 5, "zz": 1}

    answer = await admin.post(f"{API}/models/{model}/rollouts", json=body)

    told = answer.json()["details"]["fields"]
    assert [each["field"] for each in told] == ["dwell", "zz"]
    assert "patience_s" in told[1]["problem"], "nothing is near: all are named"


async def test_a_misspelt_option_steers_nothing(admin: httpx.AsyncClient, model: str):
    rollout = await begun(admin, model, rollout_percentage=10)

    answer = await act(admin, rollout, "advance", increment=90)

    assert (answer.status_code, "custom_increment" in answer.text) == (400, True)
    assert (await shown(admin, rollout))["revision"] == rollout["revision"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (
            ASKED | {"device_capabilities": PHONE | {"gpuavailable": True}},
            "device_capabilities.gpuavailable",
        ),
        (ASKED | {"device_capabilities": PHONE, "preferred": "cloud"}, "preferred"),
    ],
)
async def test_a_misspelt_capability_is_unprocessable(
    admin: httpx.AsyncClient, body: dict[str, Any], field: str
):
    answer = await admin.post(f"{API}/route", json=body)

    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["details"]["fields"]] == [field]


async def test_a_rollout_shows_what_it_keeps_to(admin: httpx.AsyncClient, model: str):
    made = await begun(
        admin,
        model,
        start_immediately=False,
        patience_s=7200,
        pacing={"interval_s": 3},
        gates={"devices": {"tolerated": 0.01}, "latency": {"required": True}, "minimum_sample": 50},
    )

    told = await shown(admin, made)

    assert told["patience_s"] == 7200
    assert told["pacing"] == {"first_percentage": 1, "growth": 2, "interval_s": 3}
    assert told["gates"] == {
        "devices": {"tolerated": 0.01, "unacceptable": 0.04, "required": False},
        "errors": {"tolerated": 0.005, "unacceptable": 0.04, "required": False},
        "latency": {"tolerated": 0.1, "unacceptable": 0.25, "required": True},
        "minimum_sample": 50,
        "sufficient_sample": 1000,
        "expected_failures": 0.02,
    }
