"""What measurements say of how fast devices run models."""

import pytest

from octomil.placement.decision import Measured
from octomil.placement.devices import Device
from octomil.placement.speeds import ModelSpeed, Samples, pace_of


def speed(size_mb: float, tokens_per_s: float) -> ModelSpeed:
    return ModelSpeed(model="m", size_mb=size_mb, tokens_per_s=tokens_per_s)


def test_nothing_known_is_nothing_measured():
    assert Samples().typical() == Measured()
    assert not Samples().typical().is_of_device


def test_a_device_s_own_goes_before_its_kind_s_each_by_itself():
    found = Samples(own_ms=5, ms=(1, 2, 3), ms_per_mb=(0.1, 0.3)).typical()

    assert found == Measured(device_ms=5, ms_per_mb=0.2)
    assert Samples(ms=(1, 2, 3), own_ms_per_mb=9, ms_per_mb=(1,)).typical() == Measured(
        device_ms=2, ms_per_mb=9
    )


def test_a_minority_is_not_heard():
    assert Samples(ms=(10, 11, 12, 1e12, 1e-12)).typical().device_ms == 11


def test_a_pace_is_the_median_of_the_models():
    assert pace_of([]) is None
    assert pace_of([speed(100, 50), speed(1000, 50), speed(100, 25)]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("platform", "gpu", "npu", "kind"),
    [
        ("ios", True, True, "npu"),
        ("ios", True, False, "gpu"),
        ("ios", False, False, "cpu"),
        ("linux", True, True, "cpu"),
    ],
)
def test_a_kind_has_the_accelerator_that_the_platform_can_use(
    platform: str, gpu: bool, npu: bool, kind: str
):
    device = Device(platform=platform, total_memory_mb=8192, gpu_available=gpu, npu_available=npu)

    assert device.kind.accelerator == device.accelerator_kind == kind
    assert device.accelerator is getattr(device.runs, kind)
