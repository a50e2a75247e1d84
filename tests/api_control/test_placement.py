"""`/route` over HTTP: every documented field, every preference, and what is counted."""

from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import write_route_counts
from octomil.control.plane import ControlPlane
from octomil.control.ports import OutcomeUnknownError
from octomil.errors import ServiceUnavailableError
from support.control import API, bearer, client_of, key_of

ROUTE = f"{API}/route"
PHONE = {
    "platform": "ios",
    "total_memory_mb": 8192,
    "gpu_available": True,
    "npu_available": True,
}
ASKED = {
    "model_id": "text-classifier",
    "model_params": 500_000_000,
    "model_size_mb": 250,
    "device_capabilities": PHONE,
    "prefer": "device",
}
"""The published example."""

CAPABLE = "Device is capable, routing to on-device execution"
TOO_SMALL = "Device RAM insufficient for safe inference"
CLOUD = {
    "target": "cloud",
    "endpoint": "/api/v1/inference",
    "format": "onnx",
    "engine": "onnx_runtime",
}


async def decided(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(ROUTE, json=ASKED | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told(client: httpx.AsyncClient, model_id: str = "text-classifier") -> dict[str, Any]:
    answer = await client.get(f"{ROUTE}/stats/{model_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_published_example_is_answered_as_published(admin: httpx.AsyncClient):
    answer = await decided(admin)

    name, latency_us = answer.pop("id"), answer.pop("routing_latency_us")
    assert name.startswith("rd_")
    assert isinstance(latency_us, int)
    assert latency_us >= 1
    assert answer == {
        "target": "device",
        "format": "coreml",
        "engine": "ane",
        "quantization": "int4",
        "reason": f"{CAPABLE}. Device tier=flagship, model=500,000,000 params / 250MB",
        "fallback_target": CLOUD,
        "device_class": "flagship",
        "estimated_device_latency_ms": 75.0,
        "estimated_cloud_latency_ms": 50.0,
        "estimates_measured": {"device": False, "cloud": False},
    }


async def test_each_decision_has_an_id_of_its_own(admin: httpx.AsyncClient):
    names = {(await decided(admin))["id"] for _ in range(20)}

    assert len(names) == 20


@pytest.mark.parametrize(
    ("prefer", "target", "reason"),
    [
        ("device", "device", CAPABLE),
        ("cheapest", "device", CAPABLE),
        ("cloud", "cloud", "Cloud execution preferred by caller"),
        ("fastest", "cloud", "Cloud is estimated to be faster than the device"),
    ],
)
async def test_a_preference_is_heeded(
    admin: httpx.AsyncClient, prefer: str, target: str, reason: str
):
    answer = await decided(admin, prefer=prefer)

    assert answer["target"] == target
    assert answer["reason"].startswith(f"{reason}. ")
    assert answer["fallback_target"] == CLOUD
    expected = ("onnx", "onnx_runtime", "none") if target == "cloud" else ("coreml", "ane", "int4")
    assert (answer["format"], answer["engine"], answer["quantization"]) == expected


async def test_the_fastest_is_the_device_where_that_is_estimated_to_be_faster(
    admin: httpx.AsyncClient,
):
    answer = await decided(admin, model_size_mb=100, prefer="fastest")

    assert answer["target"] == "device"
    assert answer["estimated_device_latency_ms"] < answer["estimated_cloud_latency_ms"]


async def test_without_a_preference_it_is_the_device(admin: httpx.AsyncClient):
    asked = {name: value for name, value in ASKED.items() if name != "prefer"}

    answer = await admin.post(ROUTE, json=asked)

    assert answer.json()["target"] == "device"


@pytest.mark.parametrize("prefer", ["device", "cloud", "cheapest", "fastest"])
async def test_what_does_not_fit_goes_to_the_cloud_whatever_is_preferred(
    admin: httpx.AsyncClient, prefer: str
):
    answer = await decided(admin, model_params=70_000_000_000, model_size_mb=140_000, prefer=prefer)

    assert answer["target"] == "cloud"
    assert answer["reason"].startswith(f"{TOO_SMALL}. ")
    assert answer["estimated_device_latency_ms"] is None
    assert answer["estimates_measured"]["device"] is False


@pytest.mark.parametrize(
    ("platform", "file_format", "engine"),
    [
        ("ios", "coreml", "ane"),
        ("android", "tflite", "nnapi"),
        ("linux", "onnx", "onnx_runtime"),
        ("windows", "onnx", "onnx_runtime"),
    ],
)
async def test_format_and_engine_are_the_platform_s(
    admin: httpx.AsyncClient, platform: str, file_format: str, engine: str
):
    answer = await decided(admin, device_capabilities=PHONE | {"platform": platform})

    assert (answer["format"], answer["engine"]) == (file_format, engine)


@pytest.mark.parametrize(
    ("memory_mb", "size_mb", "device_class", "quantization"),
    [
        (8192, 2000, "flagship", "float32"),
        (6144, 2000, "high", "int8"),
        (4096, 2000, "mid", "int4"),
        (2048, 200, "low", "int4"),
    ],
)
async def test_quantisation_is_by_memory(
    admin: httpx.AsyncClient, memory_mb: int, size_mb: int, device_class: str, quantization: str
):
    device = {"platform": "android", "total_memory_mb": memory_mb}

    answer = await decided(
        admin, model_params=500_000_000, model_size_mb=size_mb, device_capabilities=device
    )

    assert (answer["device_class"], answer["quantization"]) == (device_class, quantization)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"device_capabilities": PHONE | {"platform": "toaster"}}, "device_capabilities.platform"),
    ({"device_capabilities": PHONE | {"platform": None}}, "device_capabilities.platform"),
    (
        {"device_capabilities": PHONE | {"total_memory_mb": 0}},
        "device_capabilities.total_memory_mb",
    ),
    (
        {"device_capabilities": PHONE | {"total_memory_mb": "8 GB"}},
        "device_capabilities.total_memory_mb",
    ),
    ({"device_capabilities": {"platform": "ios"}}, "device_capabilities.total_memory_mb"),
    ({"device_capabilities": PHONE | {"gpu_available": "yes"}},
     "device_capabilities.gpu_available"),
    ({"device_capabilities": PHONE | {"npu_available": 1}}, "device_capabilities.npu_available"),
    ({"device_capabilities": None}, "device_capabilities"),
    ({"device_capabilities": []}, "device_capabilities"),
    ({"model_params": 0}, "model_params"),
    ({"model_params": 1.5}, "model_params"),
    ({"model_size_mb": -1}, "model_size_mb"),
    ({"model_size_mb": 5e-324}, "model_size_mb"),
    ({"model_size_mb": True}, "model_size_mb"),
    ({"model_id": ""}, "model_id"),
    ({"model_id": "a\u0000b"}, "model_id"),
    ({"prefer": "luck"}, "prefer"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), WRONG)
async def test_a_value_that_makes_no_sense_is_named(
    admin: httpx.AsyncClient, plane: ControlPlane, change: dict[str, Any], field: str
):
    answer = await admin.post(ROUTE, json=ASKED | change)

    body = answer.json()
    assert (answer.status_code, body["error"]) == (422, "unprocessable")
    assert [each["field"] for each in body["details"]["fields"]] == [field]
    assert body["message"].startswith(f"{field}: ")
    assert len(plane.route_counts) == 0


@pytest.mark.parametrize("field", ["model_id", "model_params", "model_size_mb"])
async def test_a_field_that_is_missing_is_named(admin: httpx.AsyncClient, field: str):
    asked = {name: value for name, value in ASKED.items() if name != field}

    answer = await admin.post(ROUTE, json=asked)

    assert answer.status_code == 422
    assert answer.json()["details"]["fields"][0]["field"] == field


async def test_what_is_no_json_is_a_bad_request(admin: httpx.AsyncClient):
    headers = {"content-type": "application/json"}

    answer = await admin.post(ROUTE, content=b'{"model_id": ', headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


async def test_decisions_are_counted_by_target_and_reason(admin: httpx.AsyncClient):
    for _ in range(3):
        await decided(admin)
    await decided(admin, prefer="cloud")
    for _ in range(2):
        await decided(admin, model_params=70_000_000_000, model_size_mb=140_000)
    await decided(admin, model_id="another")

    stats = await told(admin)

    assert isinstance(stats.pop("avg_routing_latency_us"), int)
    assert stats == {
        "model_id": "text-classifier",
        "total_decisions": 6,
        "device_count": 3,
        "cloud_count": 3,
        "device_pct": 50.0,
        "cloud_pct": 50.0,
        "common_reasons": [
            {"reason": CAPABLE, "count": 3},
            {"reason": TOO_SMALL, "count": 2},
            {"reason": "Cloud execution preferred by caller", "count": 1},
        ],
    }


async def test_shares_make_a_hundred_and_the_latency_is_the_average(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    taken = [(await decided(admin))["routing_latency_us"] for _ in range(2)]
    taken.append((await decided(admin, prefer="cloud"))["routing_latency_us"])

    stats = await told(admin)

    assert (stats["device_pct"], stats["cloud_pct"]) == (66.7, 33.3)
    assert stats["avg_routing_latency_us"] == round(sum(taken) / 3)


async def test_a_decision_touches_no_database(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    await decided(admin)
    monkeypatch.setattr(plane.store, "_engines", None)  # whoever asks it now fails

    answer = await admin.post(ROUTE, json=ASKED, headers={"idempotency-key": "once-0123456789"})

    assert answer.status_code == 200
    assert len(plane.route_counts) == 2


async def test_counts_go_on_over_several_writings_and_a_restart(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    for _ in range(3):
        await decided(admin)
        await write_route_counts(plane)
    assert len(plane.route_counts) == 0

    assert (await told(admin))["total_decisions"] == 3
    with plane.store.snapshot("default") as tx:
        (tally,) = tx.route_tallies.of_model("text-classifier")
    assert tally.decisions == 3


async def test_counts_that_cannot_be_written_wait_for_the_next_time(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    await decided(admin)
    with monkeypatch.context() as patch:
        patch.setitem(plane.threads._most, "write", 0)
        with pytest.raises(ServiceUnavailableError):
            await write_route_counts(plane)
    await decided(admin)

    assert len(plane.route_counts) == 2
    assert (await told(admin))["total_decisions"] == 2


async def test_counts_of_which_nobody_knows_are_not_told_twice(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    def lost(noted: object) -> None:
        write(noted)
        raise OutcomeUnknownError("the database was lost while it committed")

    await decided(admin)
    write = plane.route_counts.write
    with monkeypatch.context() as patch:
        patch.setattr(plane.route_counts, "write", lost)
        with pytest.raises(OutcomeUnknownError):
            await write_route_counts(plane)

    assert (await told(admin))["total_decisions"] == 1


async def test_before_the_first_decision_a_model_has_empty_statistics(admin: httpx.AsyncClient):
    made = (
        await admin.post(f"{API}/models", json={"name": "mnist", "framework": "pytorch"})
    ).json()

    for name in (made["id"], "mnist"):
        assert await told(admin, name) == {
            "model_id": name,
            "total_decisions": 0,
            "device_count": 0,
            "cloud_count": 0,
            "device_pct": 0.0,
            "cloud_pct": 0.0,
            "common_reasons": [],
            "avg_routing_latency_us": None,
        }


async def test_of_a_model_that_nobody_asked_about_there_is_nothing(admin: httpx.AsyncClient):
    answer = await admin.get(f"{ROUTE}/stats/nobody")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_another_organisation_s_decisions_are_not_counted_in(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    await decided(admin)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        assert (await stranger.get(f"{ROUTE}/stats/text-classifier")).status_code == 404
        await decided(stranger)
        await decided(stranger)
        assert (await told(stranger))["total_decisions"] == 2

    assert (await told(admin))["total_decisions"] == 1


async def test_a_device_s_token_decides_if_it_may_ask_models(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient
):
    tokens = {}
    for name, scope in (("box-1", "inference:use"), ("box-2", "models:read")):
        body = {"device_identifier": name, "scopes": [scope]}
        answer = await admin.post(f"{API}/device-auth/bootstrap", json=body)
        tokens[name] = bearer(answer.json()["access_token"])

    may = await anybody.post(ROUTE, json=ASKED, headers=tokens["box-1"])
    may_not = await anybody.post(ROUTE, json=ASKED, headers=tokens["box-2"])

    assert (may.status_code, may_not.status_code) == (200, 403)
