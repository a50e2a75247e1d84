"""Reading GPUs: the real binding over a driver of the test's own, and over none."""

import ctypes
import ctypes.util
import logging
from collections.abc import Iterator

import pynvml
import pytest

from epochly.errors import GpuUnavailableError
from epochly.inference import CostEstimator, InferenceMetrics, PrometheusExporter
from epochly.inference.metrics import NvmlGpus
from epochly.inference.metrics.otel import InferenceOTelExporter
from support.prometheus import read_metrics

HAS_DRIVER = ctypes.util.find_library("nvidia-ml") is not None

UUID = "GPU-4b8d1f6e"
OK, NOT_FOUND, NOT_SUPPORTED, GPU_IS_LOST = 0, 6, 3, 15
GIB = 2**30


class Driver:
    """What `libnvidia-ml.so.1` exports, as far as it is called: a machine with one GPU.

    Attributes:
        utilization: per cent; None for a GPU that does not tell.
        memory: bytes in use, bytes in all; None for a GPU that does not tell.
        fault: what every question about a GPU is answered with instead.
        open_times: calls of `nvmlInit` without `nvmlShutdown`.
    """

    def __init__(self) -> None:
        self.utilization: int | None = 37
        self.memory: tuple[int, int] | None = (20 * GIB, 80 * GIB)
        self.fault = OK
        self.open_times = 0

    def nvmlInitWithFlags(self, _flags: int) -> int:  # noqa: N802 - NVML's name, as those below
        self.open_times += 1
        return OK

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.open_times -= 1
        return OK

    def nvmlErrorString(self, code: int) -> bytes:  # noqa: N802
        return f"error {code}".encode()

    def nvmlDeviceGetCount_v2(self, count) -> int:  # noqa: N802
        count._obj.value = 1
        return OK

    def nvmlDeviceGetHandleByIndex_v2(self, index, _device) -> int:  # noqa: N802
        return OK if index.value == 0 else NOT_FOUND

    def nvmlDeviceGetHandleByUUID(self, uuid, _device) -> int:  # noqa: N802
        return OK if uuid.value == UUID.encode() else NOT_FOUND

    def nvmlDeviceGetName(self, _device, name, _size) -> int:  # noqa: N802
        name.value = b"NVIDIA H100 80GB HBM3"
        return self.fault

    def nvmlDeviceGetUtilizationRates(self, _device, rates) -> int:  # noqa: N802
        if self.utilization is None:
            return NOT_SUPPORTED
        rates._obj.gpu = self.utilization
        return self.fault

    def nvmlDeviceGetMemoryInfo(self, _device, memory) -> int:  # noqa: N802
        if self.memory is None:
            return NOT_SUPPORTED
        memory._obj.used, memory._obj.total = self.memory
        return self.fault


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver in the place of the library that the binding would load."""
    driver = Driver()
    monkeypatch.setattr(pynvml, "nvmlLib", driver)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return driver


@pytest.fixture
def gpus(driver: Driver) -> Iterator[NvmlGpus]:
    with NvmlGpus() as gpus:
        yield gpus


@pytest.mark.parametrize("device", [0, UUID])
def test_a_gpu_is_asked_by_index_or_uuid(gpus, device):
    assert len(gpus) == 1
    assert gpus.utilization(device) == 0.37
    assert gpus.memory_utilization(device) == 0.25
    assert CostEstimator(gpus.name(device)).rate_source == "table"


def test_the_first_gpu_is_asked_unless_another_is_named(gpus):
    assert gpus.name() == "NVIDIA H100 80GB HBM3"
    assert (gpus.utilization(), gpus.memory_utilization()) == (0.37, 0.25)


@pytest.mark.parametrize("device", [1, "GPU-absent"])
def test_a_gpu_that_is_not_there_is_named(gpus, device):
    for ask in (gpus.name, gpus.utilization, gpus.memory_utilization):
        with pytest.raises(GpuUnavailableError, match=f"GPU {device} cannot be asked"):
            ask(device)


def test_what_a_gpu_does_not_tell_is_none(gpus, driver):
    driver.utilization = driver.memory = None

    assert gpus.utilization() is None
    assert gpus.memory_utilization() is None


def test_closing_twice_lets_the_library_go_once(driver):
    with NvmlGpus() as gpus:
        assert driver.open_times == 1
    gpus.close()

    assert driver.open_times == 0


@pytest.mark.optional
@pytest.mark.skipif(HAS_DRIVER, reason="this machine has NVIDIA's driver")
def test_without_a_driver_the_message_says_so():
    with pytest.raises(GpuUnavailableError, match=r"NVIDIA's driver cannot be asked: .*Not Found"):
        NvmlGpus()


@pytest.mark.optional
@pytest.mark.skipif(not HAS_DRIVER, reason="this machine has no NVIDIA driver")
def test_a_real_gpu_tells_shares():
    with NvmlGpus() as gpus:
        assert len(gpus) >= 1
        assert gpus.name(0)
        assert 0 < (gpus.memory_utilization(0) or 0.5) <= 1
        assert 0 <= (gpus.utilization(0) or 0) <= 1


def shown(metrics: InferenceMetrics) -> tuple[dict, dict]:
    told = read_metrics(PrometheusExporter.export(metrics))
    return tuple(
        {dict(labels)["model"]: value for (_, labels), value in told[name].samples.items()}
        for name in (
            "epochly_inference_gpu_utilization",
            "epochly_inference_gpu_memory_utilization",
        )
    )


def test_a_watched_gpu_is_read_each_time_the_metrics_are_shown(gpus, driver):
    metrics = InferenceMetrics()
    metrics.watch_gpu("bert", gpus)
    assert shown(metrics) == ({"bert": 0.37}, {"bert": 0.25})

    driver.utilization, driver.memory = 80, (60 * GIB, 80 * GIB)

    assert shown(metrics) == ({"bert": 0.8}, {"bert": 0.75})
    metrics.record_inference("bert", 1.0)
    assert metrics.get_model_stats("bert")["gpu_utilization"] == 0.8
    assert metrics.get_all_metrics()["gpu"]["bert"] == {
        "utilization": 0.8,
        "memory_utilization": 0.75,
    }
    (point,) = InferenceOTelExporter(environ={}).export(metrics)[
        "epochly.inference.gpu.utilization"
    ]
    assert point == {"attributes": {"epochly.model": "bert"}, "value": 0.8}


def test_what_a_watched_gpu_does_not_tell_is_not_shown(gpus, driver):
    driver.utilization = None
    metrics = InferenceMetrics()

    metrics.watch_gpu("bert", gpus)

    assert shown(metrics) == ({}, {"bert": 0.25})


def test_a_gpu_that_is_lost_is_not_shown_and_told_once(gpus, driver, caplog):
    metrics = InferenceMetrics()
    metrics.watch_gpu("bert", gpus)

    driver.fault = GPU_IS_LOST
    with caplog.at_level(logging.WARNING):
        assert [shown(metrics) for _ in range(3)] == [({}, {})] * 3
    assert len(caplog.records) == 2
    assert "gpu_utilization of bert is not shown: GPU 0 cannot be asked" in caplog.text

    driver.fault = OK
    assert shown(metrics) == ({"bert": 0.37}, {"bert": 0.25})
    driver.fault = GPU_IS_LOST
    assert shown(metrics) == ({}, {})
    assert len(caplog.records) == 4


def test_a_gpu_that_is_not_there_cannot_be_watched(gpus):
    metrics = InferenceMetrics()

    with pytest.raises(GpuUnavailableError, match="GPU 7"):
        metrics.watch_gpu("bert", gpus, 7)

    assert shown(metrics) == ({}, {})
