"""Where a model runs: what holds for every model, device and wish."""

from hypothesis import given
from hypothesis import strategies as st

from octomil.placement.decision import Cause, Measured, Preference, place
from octomil.placement.devices import Device, Model
from octomil.placement.table import CLASSES, PLATFORMS, QUANTIZATIONS

models = st.builds(Model, st.integers(1, 10**12), st.floats(0.001, 1e6))
devices = st.builds(
    Device,
    platform=st.sampled_from(sorted(PLATFORMS)),
    total_memory_mb=st.integers(1, 200_000),
    gpu_available=st.booleans(),
    npu_available=st.booleans(),
)
times = st.none() | st.floats(0.1, 1e5)
measurements = st.builds(Measured, device_ms=times, ms_per_mb=times, cloud_ms=times)


@given(models, devices, st.sampled_from(Preference), measurements)
def test_a_device_is_given_only_what_is_safe_on_it(model, device, prefer, measured):
    found = place(model, device, prefer, measured)
    limit_mb = CLASSES[device.device_class].model_mb

    if found.target == "device":
        assert model.size_as(found.quantization) <= limit_mb
        assert found.format == PLATFORMS[device.platform].format
        assert found.device_latency_ms is not None
    else:
        assert (found.format, found.engine, found.quantization) == ("onnx", "onnx_runtime", "none")
    is_too_small = found.cause is Cause.TOO_SMALL
    assert is_too_small == (model.size_as("int4") > limit_mb)
    assert is_too_small == (found.device_latency_ms is None)
    assert found.fallback.endpoint == "/api/v1/inference"


@given(models, devices, measurements)
def test_the_fastest_is_never_the_slower_of_both(model, device, measured):
    found = place(model, device, Preference.FASTEST, measured)

    if found.target == "device":
        assert found.device_latency_ms <= found.cloud_latency_ms
    elif found.device_latency_ms is not None:
        assert found.cloud_latency_ms < found.device_latency_ms


@given(models, st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_room_is_never_used_for_less_exact_numbers(model, one, other):
    less, more = (model.quantization_within(each) for each in sorted((one, other)))

    if less is not None:
        assert QUANTIZATIONS[more] >= QUANTIZATIONS[less]
