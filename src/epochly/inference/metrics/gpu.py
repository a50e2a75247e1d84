"""How busy GPUs are: read when the metrics are shown, and absent where the driver does not say.

NVML is the library that NVIDIA's driver brings (`libnvidia-ml.so.1`); the package `nvidia-ml-py`
calls it (https://docs.nvidia.com/deploy/nvml-api/).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from epochly._optional import require
from epochly.errors import EpochlyError, GpuUnavailableError
from epochly.inference.metrics.instruments import Gauge, LabelValue, LabelValues

_log = logging.getLogger(__name__)


class GpuReader(Protocol):
    """What tells how busy a GPU is. A share that the GPU does not tell is None."""

    def utilization(self, device: int | str) -> float | None:
        """Return the share of time in which its compute units worked, 0 to 1."""

    def memory_utilization(self, device: int | str) -> float | None:
        """Return the share of its memory in use, 0 to 1."""


class NvmlGpus:
    """The NVIDIA GPUs of this machine, by index or by UUID (`GPU-…`, or `MIG-…` for a part of one).

    Raises:
        MissingDependencyError: `nvidia-ml-py` is not installed.
        GpuUnavailableError: there is no NVIDIA driver, or it refuses.
    """

    def __init__(self) -> None:
        self._nvml: Any = require("pynvml", package="nvidia-ml-py", purpose="reading GPUs")
        self._is_open = False
        with self._told("NVIDIA's driver cannot be asked"):
            self._nvml.nvmlInit()
        self._is_open = True

    def __len__(self) -> int:
        """How many GPUs there are."""
        with self._told("the GPUs cannot be counted"):
            return int(self._nvml.nvmlDeviceGetCount())

    def name(self, device: int | str = 0) -> str:
        """Return a GPU's name, such as `"NVIDIA H100 80GB HBM3"`, which `CostEstimator` knows."""
        with self._told(f"GPU {device} cannot be asked"):
            return str(self._nvml.nvmlDeviceGetName(self._handle(device)))

    def utilization(self, device: int | str = 0) -> float | None:
        """Return the share of the driver's last sampling period in which a kernel ran, 0 to 1.

        None for a GPU that does not tell, as one that is divided (MIG).

        Raises:
            GpuUnavailableError: there is no such GPU, or the driver lost it.
        """
        with self._told(f"GPU {device} cannot be asked"):
            try:
                return (
                    float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle(device)).gpu) / 100
                )
            except self._nvml.NVMLError_NotSupported:
                return None

    def memory_utilization(self, device: int | str = 0) -> float | None:
        """Return the share of the memory in use, by whatever process, 0 to 1.

        None for a GPU that does not tell, as one that shares the machine's memory.

        Raises:
            GpuUnavailableError: there is no such GPU, or the driver lost it.
        """
        with self._told(f"GPU {device} cannot be asked"):
            try:
                memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle(device))
            except self._nvml.NVMLError_NotSupported:
                return None
        return memory.used / memory.total if memory.total else None

    def close(self) -> None:
        """Let the library go; closing twice is harmless."""
        if self._is_open:
            self._is_open = False
            with self._told("NVML cannot be closed"):
                self._nvml.nvmlShutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handle(self, device: int | str) -> Any:
        if isinstance(device, int):
            return self._nvml.nvmlDeviceGetHandleByIndex(device)
        return self._nvml.nvmlDeviceGetHandleByUUID(device)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            raise GpuUnavailableError(f"{what}: {error}") from error


class WatchedGauge(Gauge):
    """A gauge some of whose series are read anew each time it is shown.

    A series that cannot be read is not shown; why is told to the log once, until it can be again.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._readers: dict[LabelValues, Callable[[], float | None]] = {}
        self._silent: set[LabelValues] = set()

    def watch(self, read: Callable[[], float | None], *labels: LabelValue) -> None:
        """Read a series from now on.

        Args:
            read: returns the value, or None where there is none.
            labels: the series.

        Raises:
            EpochlyError: what the first reading raises.
        """
        read()
        self._readers[labels] = read

    def collect(self) -> list[tuple[LabelValues, float]]:
        """Return the present value of each series."""
        for labels, read in list(self._readers.items()):
            value = self._read(labels, read)
            if value is None:
                self.forget(*labels)
            else:
                self.set(value, *labels)
        return super().collect()

    def _read(self, labels: LabelValues, read: Callable[[], float | None]) -> float | None:
        try:
            value = read()
        except EpochlyError as error:
            if labels not in self._silent:
                self._silent.add(labels)
                _log.warning("%s of %s is not shown: %s", self.name, labels[0], error)
            return None
        self._silent.discard(labels)
        return value
