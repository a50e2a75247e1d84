"""What is known of a device and a model when it is decided where the one runs the other."""

import math
from dataclasses import dataclass

from octomil.placement.table import (
    CLASSES,
    PLATFORMS,
    QUANTIZATIONS,
    Accelerator,
    AcceleratorKind,
    DeviceClass,
    Platform,
)

_BITS_PER_MB = 8e6

_OVERHEAD = 1.25
"""What a file takes over its parameters' own bits: scales, tables, headers."""


class PlacementError(ValueError):
    """What is said of a device or a model makes no sense.

    Attributes:
        field: the field at fault, as it is called in a request.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


def class_of(memory_mb: int) -> DeviceClass:
    """Return the best class of devices that have so much memory at least.

    Example:
        >>> [class_of(gib * 1024).value for gib in (16, 6, 5, 1)]
        ['flagship', 'high', 'mid', 'low']
    """
    return next(each for each, limits in CLASSES.items() if memory_mb >= limits.memory_mb)


@dataclass(frozen=True, slots=True)
class HardwareKind:
    """Devices that are taken to be as fast as each other.

    Attributes:
        accelerator: what the model runs on there.
    """

    platform: str
    device_class: DeviceClass
    accelerator: AcceleratorKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a device can do.

    Raises:
        PlacementError: the platform is not in the table, or there is no memory.
    """

    platform: str
    total_memory_mb: int
    gpu_available: bool = False
    npu_available: bool = False

    def __post_init__(self) -> None:
        if self.platform not in PLATFORMS:
            known = ", ".join(PLATFORMS)
            raise PlacementError(
                "device_capabilities.platform", f"{self.platform!r} is none of {known}"
            )
        if self.total_memory_mb <= 0:
            raise PlacementError(
                "device_capabilities.total_memory_mb",
                f"must be above 0, got {self.total_memory_mb}",
            )

    @property
    def device_class(self) -> DeviceClass:
        """The best class whose memory it has."""
        return class_of(self.total_memory_mb)

    @property
    def runs(self) -> Platform:
        """What runs models on its platform."""
        return PLATFORMS[self.platform]

    @property
    def accelerator_kind(self) -> AcceleratorKind:
        """The fastest that it has and that its platform runs models on."""
        if self.npu_available and self.runs.npu is not None:
            return "npu"
        return "gpu" if self.gpu_available and self.runs.gpu is not None else "cpu"

    @property
    def accelerator(self) -> Accelerator:
        """What it runs models with."""
        found: Accelerator = getattr(self.runs, self.accelerator_kind)
        return found

    @property
    def kind(self) -> HardwareKind:
        """The devices that it is as fast as.

        Example:
            >>> Device(platform="linux", total_memory_mb=4096, gpu_available=True).kind.accelerator
            'cpu'
        """
        return HardwareKind(self.platform, self.device_class, self.accelerator_kind)


@dataclass(frozen=True, slots=True)
class Model:
    """A model, as it was uploaded.

    Args:
        parameters: how many.
        size_mb: of its file, in megabytes of a million bytes.

    Raises:
        PlacementError: one of them is not above 0.
    """

    parameters: int
    size_mb: float

    def __post_init__(self) -> None:
        if self.parameters <= 0:
            raise PlacementError("model_params", f"must be above 0, got {self.parameters}")
        if not 0 < self.size_mb < math.inf:
            raise PlacementError("model_size_mb", f"must be above 0, got {self.size_mb}")

    @property
    def bits_per_parameter(self) -> float:
        """How exact its parameters are now."""
        return self.size_mb * _BITS_PER_MB / self.parameters

    def size_as(self, quantization: str) -> float:
        """Return its size in megabytes in a quantisation; never more than it has now."""
        wanted = QUANTIZATIONS[quantization] * _OVERHEAD
        return min(self.size_mb, self.parameters * wanted / _BITS_PER_MB)

    def quantization_within(self, limit_mb: float) -> str | None:
        """Return the most exact quantisation with which it fits; None if none does.

        None is more exact than the file is already: that would only make it larger.

        Example:
            >>> Model(500_000_000, 250).quantization_within(2048)
            'int4'
        """
        finest = _bits_that_hold(self.bits_per_parameter)
        for name, bits in QUANTIZATIONS.items():
            if bits <= finest and self.size_as(name) <= limit_mb:
                return name
        return None


def _bits_that_hold(bits: float) -> float:
    """Return the bits of the coarsest quantisation that loses nothing; else of the finest."""
    enough = [each for each in QUANTIZATIONS.values() if each * _OVERHEAD >= bits]
    return min(enough) if enough else max(QUANTIZATIONS.values())
