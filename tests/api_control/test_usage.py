"""What devices report of their requests, over HTTP, and what rollouts make of it."""

import math
from typing import Any

import httpx
import pytest

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Attestation
from octomil.control.services.callers import Caller
from octomil.control.services.observations import observed
from octomil.registry.manifest import hex_of
from octomil.rollouts.evidence import Observation
from octomil.wire.rollouts import AttestationRequest
from octomil.wire.usage import UsageReport, UsageRow
from support.control import API
from support.registry import new_model
from support.rollouts import (
    Who,
    add_devices,
    attest,
    begun,
    device,
    history,
    placed,
    published,
    shown,
)

DEVICES = 300
GATES = {"minimum_sample": 50, "sufficient_sample": 50}
"""Of 300 devices, half of which take the version, 50 are in either arm however chance has it."""


@pytest.fixture
async def digests(admin: httpx.AsyncClient) -> dict[str, str]:
    """The digests of two published versions, by number, and the model's id as `model`."""
    model = await new_model(admin)
    found = {number: await published(admin, model, number) for number in ("1.0.0", "2.0.0")}
    return {**found, "model": model}


async def report(
    client: httpx.AsyncClient, who: Who, model: str, ran: str, window: int = 1, **row: Any
) -> httpx.Response:
    """Say what a device did: ten requests of a millisecond each, if nothing else is said."""
    usage = [{"model_id": model, "digest": ran, "requests": 10, **row}]
    body = {"window": window, "usage": usage}
    return await client.post(f"{API}/devices/{who[0]}/usage", json=body, headers=who[1])


def seen(plane: ControlPlane, rollout: dict[str, Any]) -> Observation:
    with plane.store.snapshot("default") as tx:
        return observed(tx, tx.rollouts.get(rollout["model_id"], rollout["id"]), plane.clock())


async def test_a_report_counts_once(
    admin: httpx.AsyncClient, plane: ControlPlane, digests: dict[str, str]
):
    who, model = await device(admin), digests["model"]
    rollout = await begun(admin, model, health_window_s=60)
    assert (await attest(admin, who, rollout)).status_code == 200

    answers = [
        await report(admin, who, model, digests["1.0.0"], window, errors=errors)
        for window, errors in ((3, 5), (3, 5), (2, 10), (4, 0))
    ]

    assert [each.json() for each in answers] == [
        {"device_id": who[0], "window": 3, "counted": True},
        {"device_id": who[0], "window": 3, "counted": False},
        {"device_id": who[0], "window": 3, "counted": False},
        {"device_id": who[0], "window": 4, "counted": True},
    ]
    shares = seen(plane, rollout).candidate.error_shares
    assert (shares.count, shares.mean) == (1, 0.25)


async def test_what_no_rollout_asks_for_is_passed_over(
    admin: httpx.AsyncClient, plane: ControlPlane, digests: dict[str, str]
):
    who, model = await device(admin), digests["model"]
    unasked = await report(admin, who, model, digests["1.0.0"])
    rollout = await begun(admin, model, health_window_s=60)
    await attest(admin, who, rollout)
    others = [
        await report(admin, who, model, digests["2.0.0"], 2, errors=10),
        await report(admin, who, "mdl_unknown", digests["1.0.0"], 3, errors=10),
    ]

    assert [each.json()["counted"] for each in (unasked, *others)] == [True] * 3
    assert seen(plane, rollout).candidate.error_shares.count == 0


async def test_a_device_speaks_for_itself_alone(admin: httpx.AsyncClient, digests: dict[str, str]):
    mine, other = await device(admin), await device(admin, "box-2")
    arguments = (digests["model"], digests["1.0.0"])

    assert (await report(admin, (other[0], mine[1]), *arguments)).status_code == 403
    assert (await report(admin, (mine[0], {}), *arguments)).status_code == 403  # an admin's key
    assert (await report(admin, ("dev_unknown", {}), *arguments)).status_code == 404


@pytest.mark.parametrize(
    "row",
    [
        {"errors": 11},
        {"log_latency_ms_sum": 10 * math.log(86_400_001)},
        {"log_latency_ms_sum": -70},
        {"errors": 10, "log_latency_ms_sum": 1.0},
        {"requests": 0},
        {"requests": True},
        {"digest": "1"},
        {"tier": "Fast!"},
    ],
)
async def test_sums_that_cannot_be_are_refused(
    admin: httpx.AsyncClient, digests: dict[str, str], row: dict[str, Any]
):
    who = await device(admin)
    answer = await report(admin, who, digests["model"], digests["1.0.0"], **row)
    assert answer.status_code == 400, answer.text
    again = await report(admin, who, digests["model"], digests["1.0.0"])
    assert again.json()["counted"] is True


def speak(
    plane: ControlPlane, device_id: str, digests: dict[str, str], number: str, **row: Any
) -> None:
    """Let a device attest a version, and report ten requests that it answered with it."""
    caller = Caller("default", f"device:{device_id}", ("devices:write",), device_id=device_id)
    digest, model = digests[number], digests["model"]
    said = AttestationRequest(model_id=model, version=number, digest=digest)
    plane.attestations.attest(caller, device_id, said)
    usage = UsageRow(model_id=model, digest=digest, requests=10, **row)
    plane.usage.report(caller, device_id, UsageReport(window=1, usage=[usage]))


def run_before(plane: ControlPlane, ids: list[str], digests: dict[str, str]) -> None:
    """Let devices run the old version from long ago."""
    now = plane.clock()
    with plane.store.transaction("default") as tx:
        for each in ids:
            said = Attestation(
                organisation="default", device_id=each, model_id=digests["model"], number="1.0.0",
                digest=hex_of(digests["1.0.0"]), is_active=True, message=None, attested_at=now,
                since=now,
            )  # fmt: skip
            tx.attestations.put(said)


@pytest.mark.parametrize(
    ("gate", "bad"),
    [
        ("errors", {"errors": 3, "log_latency_ms_sum": 7 * math.log(80)}),
        ("latency", {"log_latency_ms_sum": 10 * math.log(160)}),
        (None, {"log_latency_ms_sum": 10 * math.log(80)}),
    ],
)
async def test_a_breach_of_errors_or_latency_rolls_back(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    digests: dict[str, str],
    gate: str | None,
    bad: dict[str, Any],
):
    ids = add_devices(plane.store, plane.clock(), DEVICES)
    run_before(plane, ids, digests)
    plane.clock.advance(minutes=1)
    half = {"rollout_percentage": 50, "health_window_s": 3600, "gates": GATES}
    rollout = await begun(admin, digests["model"], "2.0.0", **half)
    with plane.store.group():
        for each in placed(rollout["id"], ids, 0, 50):
            speak(plane, each, digests, "2.0.0", **bad)
        for each in placed(rollout["id"], ids, 50, 100):
            speak(plane, each, digests, "1.0.0", log_latency_ms_sum=10 * math.log(80))

    await steer(plane)

    status = (await shown(admin, rollout))["status"]
    assert status == ("active" if gate is None else "rolled_back")
    if gate is not None:
        *_, last = await history(admin, rollout)
        assert [each["gate"] for each in last["evidence"] if each["verdict"] == "breach"] == [gate]
        assert last["reason"].startswith(f"{gate}: ")
        version = f"{API}/models/{digests['model']}/versions/2.0.0"
        assert (await admin.get(f"{version}/block")).json()["is_blocked"] is True
