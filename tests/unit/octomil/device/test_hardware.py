"""What a machine has, by the files that Linux shows: found, and not found."""

from pathlib import Path

import pytest

from octomil.device.hardware import find_gpu, find_npu, memory_bytes, platform_name
from octomil.errors import ConfigurationError


def node(root: Path, name: str) -> None:
    path = root / "dev" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def render_node(root: Path, name: str, vendor: str | None) -> None:
    node(root, f"dri/{name}")
    if vendor is not None:
        path = root / "sys/class/drm" / name / "device/vendor"
        path.parent.mkdir(parents=True)
        path.write_text(f"{vendor}\n")


def test_where_there_is_none_it_is_told_where_it_was_looked_for(tmp_path: Path):
    gpu, npu = find_gpu("Linux", "x86_64", tmp_path), find_npu("Linux", "x86_64", tmp_path)

    assert (gpu.what, gpu.found, gpu.detail) == (
        "gpu", False, "none of /dev/nvidia*, /dev/dri/renderD*"
    )  # fmt: skip
    assert (npu.what, npu.found, npu.detail) == ("npu", False, "none of /dev/accel/accel*")


@pytest.mark.parametrize(
    ("vendor", "detail"),
    [
        ("0x1002", "AMD (/dev/dri/renderD128)"),
        ("0x8086", "Intel (/dev/dri/renderD128)"),
        (None, "of an unknown maker (/dev/dri/renderD128)"),
    ],
)
def test_a_gpu_that_renders_is_told_with_its_maker(tmp_path: Path, vendor: str, detail: str):
    render_node(tmp_path, "renderD128", vendor)

    found = find_gpu("Linux", "x86_64", tmp_path)

    assert (found.found, found.detail) == (True, detail)


def test_a_virtual_display_is_no_gpu(tmp_path: Path):
    render_node(tmp_path, "renderD128", "0x1af4")

    found = find_gpu("Linux", "x86_64", tmp_path)

    assert not found.found
    assert found.detail.endswith("but for 1 virtual displays")


def test_gpus_of_nvidia_are_found_with_or_without_the_driver_s_library(tmp_path: Path):
    node(tmp_path, "nvidia0")
    node(tmp_path, "nvidiactl")

    assert find_gpu("Linux", "x86_64", tmp_path).found


def test_a_neural_processor_is_told_with_its_driver(tmp_path: Path):
    node(tmp_path, "accel/accel0")
    driver = tmp_path / "sys/bus/pci/drivers/intel_vpu"
    driver.mkdir(parents=True)
    device = tmp_path / "sys/class/accel/accel0/device"
    device.mkdir(parents=True)
    (device / "driver").symlink_to(driver)

    found = find_npu("Linux", "x86_64", tmp_path)

    assert (found.found, found.detail) == (True, "intel_vpu (/dev/accel/accel0)")


def test_apple_silicon_has_both_and_other_macs_were_not_looked_at(tmp_path: Path):
    for look in (find_gpu, find_npu):
        assert look("Darwin", "arm64", tmp_path).found
        other = look("Darwin", "x86_64", tmp_path)
        assert (other.found, other.detail[:14]) == (False, "not looked for")
        assert look("Windows", "AMD64", tmp_path).detail == "not looked for on Windows"


def test_memory_is_within_the_container_s_limit(tmp_path: Path):
    whole = memory_bytes(tmp_path)
    limit = tmp_path / "sys/fs/cgroup/memory.max"
    limit.parent.mkdir(parents=True)

    limit.write_text("max\n")
    assert memory_bytes(tmp_path) == whole
    limit.write_text(f"{2**20}\n")
    assert memory_bytes(tmp_path) == 2**20


def test_a_platform_without_a_name_is_refused():
    assert platform_name("Linux") == "linux"
    with pytest.raises(ConfigurationError, match="'Plan9'"):
        platform_name("Plan9")
