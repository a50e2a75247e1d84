"""Where a model runs for a device."""

import pytest

from octomil.placement.decision import Cause, Measured, Preference, place
from octomil.placement.devices import Device, Model
from octomil.placement.table import CLOUD

MODEL = Model(500_000_000, 250)
PHONE = Device(platform="ios", total_memory_mb=8_192, gpu_available=True, npu_available=True)
OLD_PHONE = Device(platform="android", total_memory_mb=2_048)


def test_the_documented_example_comes_out_as_written():
    found = place(MODEL, PHONE, Preference("device"))

    assert (found.target, found.format, found.engine) == ("device", "coreml", "ane")
    assert found.quantization == "int4"
    assert found.reason == (
        "Device is capable, routing to on-device execution. "
        "Device tier=flagship, model=500,000,000 params / 250MB"
    )
    assert found.fallback.endpoint == "/api/v1/inference"
    assert (found.fallback.format, found.fallback.engine) == ("onnx", "onnx_runtime")
    assert found.device_class == "flagship"
    assert (found.device_latency_ms, found.cloud_latency_ms) == (75.0, 50.0)


def test_the_documented_reasons_are_counted_as_written():
    assert place(MODEL, PHONE).cause == "Device is capable, routing to on-device execution"
    assert place(MODEL, OLD_PHONE).cause == "Device RAM insufficient for safe inference"


@pytest.mark.parametrize("prefer", Preference)
def test_a_model_that_does_not_fit_goes_to_the_cloud(prefer: Preference):
    found = place(Model(7_000_000_000, 14_000), OLD_PHONE, prefer)

    assert (found.target, found.cause) == ("cloud", Cause.TOO_SMALL)
    assert (found.format, found.engine, found.quantization) == ("onnx", "onnx_runtime", "none")
    assert found.device_latency_ms is None
    assert found.reason.endswith("Device tier=low, model=7,000,000,000 params / 14000MB")


@pytest.mark.parametrize(
    ("prefer", "cloud_ms", "target"),
    [
        (Preference.DEVICE, 1.0, "device"),
        (Preference.CHEAPEST, 1.0, "device"),
        (Preference.CLOUD, 1_000.0, "cloud"),
        (Preference.FASTEST, 74.9, "cloud"),
        (Preference.FASTEST, 75.0, "device"),
    ],
)
def test_what_is_wanted_most_decides_where_both_could(prefer, cloud_ms, target):
    assert place(MODEL, PHONE, prefer, Measured(cloud_ms=cloud_ms)).target == target


def test_by_the_table_the_cloud_is_faster_in_the_documented_example():
    assert place(MODEL, PHONE, Preference.FASTEST).cause is Cause.CLOUD_FASTER


@pytest.mark.parametrize("prefer", Preference)
@pytest.mark.parametrize("device", [PHONE, OLD_PHONE])
def test_there_is_always_the_cloud_to_fall_back_to(prefer: Preference, device: Device):
    assert place(MODEL, device, prefer).fallback is CLOUD


def test_what_was_measured_wins_over_the_table():
    paced = place(MODEL, PHONE, measured=Measured(ms_per_mb=0.1))
    known = place(MODEL, PHONE, measured=Measured(ms_per_mb=0.1, device_ms=12.0))

    assert (paced.device_latency_ms, paced.is_measured) == (25.0, True)
    assert (known.device_latency_ms, known.is_measured) == (12.0, True)
    assert not place(MODEL, PHONE).is_measured
    assert not place(MODEL, PHONE, measured=Measured(cloud_ms=9.0)).is_measured


def test_nothing_measured_makes_a_model_fit():
    huge = Model(70_000_000_000, 140_000)

    assert place(huge, PHONE, measured=Measured(device_ms=1.0)).cause is Cause.TOO_SMALL


def test_weaker_devices_are_slower():
    small = Model(100_000_000, 50)
    latencies = [
        place(small, Device(platform="android", total_memory_mb=memory)).device_latency_ms
        for memory in (8_192, 6_144, 4_096, 2_048)
    ]

    assert latencies == sorted(latencies)
    assert len(set(latencies)) == 4


def test_a_preference_that_is_none_is_refused():
    with pytest.raises(ValueError, match="best"):
        Preference("best")
