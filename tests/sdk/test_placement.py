"""`registry.placement` against a real control plane."""

import pytest

from octomil.errors import NotFoundError, UnprocessableError
from octomil.sdk.model_registry import ModelRegistry

PHONE = {"platform": "ios", "total_memory_mb": 8192, "npu_available": True}
BOX = {"platform": "web", "total_memory_mb": 4096, "gpu_available": False, "npu_available": False}


def test_it_decides_and_counts(registry: ModelRegistry):
    placement = registry.placement

    decided = placement.decide("sdk-model", 500_000_000, 250, PHONE)
    elsewhere = placement.decide("sdk-model", 500_000_000, 250, PHONE, prefer="cloud")

    assert (decided.target, decided.engine, decided["quantization"]) == ("device", "ane", "int4")
    assert elsewhere.target == elsewhere.fallback_target.target == "cloud"
    stats = placement.stats("sdk-model")
    assert (stats.total_decisions, stats.device_count, stats.cloud_count) == (2, 1, 1)
    assert placement is registry.placement


def test_what_makes_no_sense_is_an_error_that_names_it(registry: ModelRegistry):
    with pytest.raises(UnprocessableError, match="total_memory_mb") as caught:
        registry.placement.decide("m", 1, 1, {"platform": "ios"})

    (field,) = caught.value.details["fields"]
    assert field["field"] == "device_capabilities.total_memory_mb"
    assert caught.value.status == 422


def test_of_what_nobody_asked_about_there_are_no_statistics(registry: ModelRegistry):
    with pytest.raises(NotFoundError, match="nobody"):
        registry.placement.stats("nobody/at all")


def test_the_policy_of_published_clients_is_there(registry: ModelRegistry):
    policy = registry.placement.routing_policy()

    assert policy.thresholds.quality_min_words > policy.thresholds.fast_max_words


def test_a_profile_changes_the_estimate(registry: ModelRegistry):
    device = registry._api.post("/devices/register", {"device_identifier": "box-of-placement"})
    speed = {"model_id": "m", "model_size_mb": 100, "engine": "x", "tokens_per_s": 50}
    profile = {**BOX, "accelerator": "cpu", "models": [speed]}
    before = registry.placement.decide("m", 100_000_000, 100, BOX)

    kept = registry.placement.put_profile(device.id, profile)

    after = registry.placement.decide("m", 100_000_000, 100, BOX)
    assert registry.placement.get_profile(device.id) == kept
    assert (before.estimates_measured.device, after.estimates_measured.device) == (False, True)
    assert after.estimated_device_latency_ms == 20.0
