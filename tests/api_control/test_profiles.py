"""`/devices/{id}/profile` over HTTP, and what it changes in the estimates of `/route`."""

from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.speeds import SpeedQuery
from octomil.placement.decision import Measured
from octomil.placement.devices import Device
from support.control import API, bearer, client_of, key_of
from support.records import operations

BOX = {
    "platform": "linux",
    "total_memory_mb": 8192,
    "gpu_available": False,
    "npu_available": False,
}
ASKED = {
    "model_id": "smollm2-135m",
    "model_params": 135_000_000,
    "model_size_mb": 100,
    "device_capabilities": BOX,
}


def measured(tokens_per_s: float, model_id: str = "smollm2-135m") -> dict[str, Any]:
    return {
        "model_id": model_id,
        "model_size_mb": 100,
        "model_params": 135_000_000,
        "engine": "llama_cpp",
        "tokens_per_s": tokens_per_s,
        "first_token_ms": 31.5,
        "memory_mb": 250.5,
    }


def profile(*models: dict[str, Any], **changes: Any) -> dict[str, Any]:
    hardware = [{"what": "gpu", "found": False, "detail": "no /dev/nvidia0"}]
    return {**BOX, "accelerator": "cpu", "threads": 2, "models": list(models),
            "hardware": hardware, **changes}  # fmt: skip


async def registered(client: httpx.AsyncClient, name: str = "box-1") -> str:
    answer = await client.post(f"{API}/devices/register", json={"device_identifier": name})
    return answer.json()["id"]


async def put(client: httpx.AsyncClient, device_id: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.put(f"{API}/devices/{device_id}/profile", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def estimate(client: httpx.AsyncClient, **changes: Any) -> tuple[float | None, bool]:
    answer = (await client.post(f"{API}/route", json=ASKED | changes)).json()
    return answer["estimated_device_latency_ms"], answer["estimates_measured"]["device"]


async def test_a_profile_is_kept_and_shown(admin: httpx.AsyncClient, plane: ControlPlane):
    device = await registered(admin)
    sent = profile(measured(50), measured(25, "another"))

    kept = await put(admin, device, sent)
    shown = (await admin.get(f"{API}/devices/{device}/profile")).json()

    assert shown == kept
    assert kept == sent | {
        "device_id": device,
        "device_class": "flagship",
        "ms_per_mb": pytest.approx(0.3),  # the median of 20 and 40 ms for 100 MB
        "measured_at": "2026-11-21T12:00:00+00:00",
    }
    assert operations(plane)[-1] == "device.profile"


async def test_a_later_profile_takes_the_place_of_the_one_before(admin: httpx.AsyncClient):
    device = await registered(admin)
    await put(admin, device, profile(measured(50), measured(25, "another")))

    await put(admin, device, profile(measured(10, "third"), total_memory_mb=4096))

    shown = (await admin.get(f"{API}/devices/{device}/profile")).json()
    assert [each["model_id"] for each in shown["models"]] == ["third"]
    assert (shown["device_class"], shown["ms_per_mb"]) == ("mid", 1.0)
    assert await estimate(admin) == (90.0, False)


async def test_a_model_that_was_measured_is_estimated_by_that(admin: httpx.AsyncClient):
    assert await estimate(admin) == (90.0, False)

    await put(admin, await registered(admin), profile(measured(50)))

    assert await estimate(admin) == (20.0, True)


async def test_a_model_that_was_not_is_estimated_by_the_pace(admin: httpx.AsyncClient):
    await put(admin, await registered(admin), profile(measured(50)))

    assert await estimate(admin, model_id="unknown", model_size_mb=50) == (10.0, True)


async def test_the_fastest_is_told_by_what_was_measured(admin: httpx.AsyncClient):
    async def target() -> str:
        answer = await admin.post(f"{API}/route", json=ASKED | {"prefer": "fastest"})
        return answer.json()["target"]

    assert await target() == "cloud"

    await put(admin, await registered(admin), profile(measured(50)))

    assert await target() == "device"


async def test_some_liars_among_the_devices_of_a_kind_change_nothing(admin: httpx.AsyncClient):
    for number, tokens_per_s in enumerate([50, 52, 48, 1e9, 1e-6]):
        device = await registered(admin, f"box-{number}")
        await put(admin, device, profile(measured(tokens_per_s)))

    assert await estimate(admin) == (20.0, True)


@pytest.mark.parametrize(
    "other",
    [
        {"platform": "windows"},
        {"total_memory_mb": 4096},
    ],
)
async def test_devices_of_another_kind_are_not_estimated_by_it(
    admin: httpx.AsyncClient, other: dict[str, Any]
):
    await put(admin, await registered(admin), profile(measured(50)))

    assert (await estimate(admin, device_capabilities=BOX | other))[1] is False


async def test_what_ran_on_the_processor_tells_nothing_of_a_neural_one(admin: httpx.AsyncClient):
    mac = BOX | {"platform": "macos", "npu_available": True, "gpu_available": True}
    await put(admin, await registered(admin), profile(measured(50), **mac))

    assert await estimate(admin, device_capabilities=mac) == (30.0, False)
    assert await estimate(admin, device_capabilities=BOX | {"platform": "macos"}) == (20.0, True)


async def test_another_organisation_s_measurements_are_not_used(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        await put(stranger, await registered(stranger), profile(measured(50)))
        assert await estimate(stranger) == (20.0, True)

    assert await estimate(admin) == (90.0, False)


async def test_a_device_is_told_of_its_own_measurements_first(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient
):
    body = {"device_identifier": "box-1", "scopes": ["inference:use"]}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    for name, tokens_per_s in (("box-2", 50), ("box-3", 50)):
        await put(admin, await registered(admin, name), profile(measured(tokens_per_s)))
    headers = bearer(tokens["access_token"])
    anybody.headers.update(headers)
    assert await estimate(anybody) == (20.0, True)

    await put(anybody, tokens["device_id"], profile(measured(10)))

    assert await estimate(anybody) == (100.0, True)
    assert await estimate(anybody, model_id="unknown", model_size_mb=50) == (50.0, True)
    assert await estimate(admin) == (20.0, True)


async def test_a_device_that_was_removed_is_forgotten(admin: httpx.AsyncClient):
    device = await registered(admin)
    await put(admin, device, profile(measured(50)))
    await admin.delete(f"{API}/devices/{device}")

    assert (await admin.get(f"{API}/devices/{device}/profile")).status_code == 404
    assert await registered(admin) == device
    answer = await admin.get(f"{API}/devices/{device}/profile")
    assert answer.status_code == 404
    assert "octomil device profile" in answer.json()["message"]


async def test_a_replica_that_was_not_told_looks_again_after_a_moment(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    now_s = 0.0
    monkeypatch.setattr(plane.speeds, "_clock_s", lambda: now_s)
    query = SpeedQuery(
        organisation="default",
        kind=Device(platform="linux", total_memory_mb=8192).kind,
        model_id="smollm2-135m",
        device_id=None,
    )

    assert plane.speeds.remembered(query) is None
    assert plane.speeds.look_up(query) == Measured()
    assert plane.speeds.remembered(query) == Measured()
    now_s = 5.0
    assert plane.speeds.remembered(query) is None


async def test_a_profile_makes_nobody_elses_speeds_be_looked_up_again(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(plane.speeds, "_clock_s", lambda: 0.0)
    device = await registered(admin)
    own, other = (
        SpeedQuery(
            organisation=owner,
            kind=Device(platform="linux", total_memory_mb=8192).kind,
            model_id="smollm2-135m",
            device_id=None,
        )
        for owner in ("default", "acme")
    )
    for query in (own, other):
        assert plane.speeds.look_up(query) == Measured()

    await put(admin, device, profile(measured(50)))

    assert plane.speeds.remembered(own) is None
    assert plane.speeds.remembered(other) == Measured()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"platform": "toaster"}, "platform"),
        ({"accelerator": "abacus"}, "accelerator"),
        ({"threads": 0}, "threads"),
        ({"models": [measured(0)]}, "models.0.tokens_per_s"),
        ({"models": [measured(1)] * 65}, "models"),
    ],
)
async def test_what_makes_no_sense_is_named(
    admin: httpx.AsyncClient, change: dict[str, Any], field: str
):
    device = await registered(admin)

    answer = await admin.put(f"{API}/devices/{device}/profile", json=profile(**change))

    assert answer.status_code == 400
    assert answer.json()["details"]["fields"][0]["field"] == field


async def test_a_model_is_sent_once(admin: httpx.AsyncClient):
    device = await registered(admin)

    body = profile(measured(50), measured(60))
    answer = await admin.put(f"{API}/devices/{device}/profile", json=body)

    assert answer.status_code == 400
    assert "'smollm2-135m'" in answer.json()["message"]


async def test_a_device_puts_its_own_profile_only(admin: httpx.AsyncClient):
    other = await registered(admin, "box-2")
    body = {"device_identifier": "box-1", "scopes": ["devices:write"]}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    headers = bearer(tokens["access_token"])

    own = await admin.put(
        f"{API}/devices/{tokens['device_id']}/profile", json=profile(), headers=headers
    )
    foreign = await admin.put(f"{API}/devices/{other}/profile", json=profile(), headers=headers)

    assert (own.status_code, foreign.status_code) == (200, 403)
