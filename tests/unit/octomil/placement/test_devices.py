"""What is known of a device and of a model."""

import pytest

from octomil.placement.devices import Device, Model, PlacementError


@pytest.mark.parametrize(
    ("memory_mb", "device_class"),
    [
        (1, "low"),
        (4_095, "low"),
        (4_096, "mid"),
        (6_143, "mid"),
        (6_144, "high"),
        (8_191, "high"),
        (8_192, "flagship"),
        (65_536, "flagship"),
    ],
)
def test_a_device_s_class_is_told_by_its_memory(memory_mb: int, device_class: str):
    assert Device(platform="android", total_memory_mb=memory_mb).device_class == device_class


@pytest.mark.parametrize(
    ("platform", "gpu", "npu", "format_", "engine"),
    [
        ("ios", True, True, "coreml", "ane"),
        ("ios", True, False, "coreml", "metal"),
        ("macos", False, False, "coreml", "cpu"),
        ("android", True, True, "tflite", "nnapi"),
        ("android", True, False, "tflite", "gpu_delegate"),
        ("android", False, False, "tflite", "xnnpack"),
        ("linux", True, True, "onnx", "onnx_runtime"),
        ("windows", False, False, "onnx", "onnx_runtime"),
    ],
)
def test_format_and_engine_follow_platform_and_hardware(platform, gpu, npu, format_, engine):
    device = Device(platform=platform, total_memory_mb=8_192, gpu_available=gpu, npu_available=npu)

    assert (device.runs.format, device.accelerator.engine) == (format_, engine)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Device(platform="amiga", total_memory_mb=1), "device_capabilities.platform"),
        (lambda: Device(platform="ios", total_memory_mb=0), "device_capabilities.total_memory_mb"),
        (lambda: Model(0, 250), "model_params"),
        (lambda: Model(1, 0), "model_size_mb"),
        (lambda: Model(1, float("nan")), "model_size_mb"),
        (lambda: Model(1, float("inf")), "model_size_mb"),
    ],
)
def test_a_refusal_names_the_field(make, field: str):
    with pytest.raises(PlacementError, match=field) as refusal:
        make()

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("parameters", "size_mb", "limit_mb", "quantization"),
    [
        (500_000_000, 250, 2_048, "int4"),
        (500_000_000, 280, 2_048, "int4"),  # 4.5 bits: scales come on top
        (500_000_000, 500, 2_048, "int8"),
        (500_000_000, 1_000, 2_048, "float16"),
        (500_000_000, 2_000, 2_048, "float32"),
        (500_000_000, 2_000, 2_000, "float32"),
        (500_000_000, 2_000, 1_999, "float16"),
        (500_000_000, 2_000, 1_024, "int8"),
        (500_000_000, 2_000, 500, "int4"),
        (500_000_000, 2_000, 200, None),
        (1_000, 500, 600, "float32"),  # mostly not parameters
    ],
)
def test_the_most_exact_quantisation_that_fits_is_taken(
    parameters: int, size_mb: float, limit_mb: float, quantization: str | None
):
    assert Model(parameters, size_mb).quantization_within(limit_mb) == quantization


def test_no_quantisation_makes_a_file_larger():
    small = Model(500_000_000, 250)

    assert small.size_as("float32") == small.size_as("int4") == 250
    assert Model(500_000_000, 2_000).size_as("int4") == pytest.approx(312.5)


def test_a_size_next_to_nothing_is_a_size():
    assert Model(1, 5e-324).quantization_within(200) == "int4"
