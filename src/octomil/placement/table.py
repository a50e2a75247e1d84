"""The table that placement decides by: what classes of devices hold, and what runs on them.

Sizes are those that are documented for the routing engine. Speeds are what is assumed until one was
measured: at what pace a device gets through a model's weights, which is what bounds a small batch.
The documented example fixes that of the fastest class, the others are guesses in proportion; an
estimate that stands on them says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

AcceleratorKind = Literal["npu", "gpu", "cpu"]


class DeviceClass(StrEnum):
    """How much a device can take."""

    FLAGSHIP = "flagship"
    HIGH = "high"
    MID = "mid"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """A class of devices.

    Attributes:
        memory_mb: the least that a device of the class has.
        model_mb: the largest model that is safe on it.
        slowness: how many times longer it takes than the fastest class.
    """

    memory_mb: int
    model_mb: float
    slowness: float


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What a platform runs models on.

    Attributes:
        engine: its name.
        ms_per_mb: milliseconds for a megabyte of weights, on the fastest class.
    """

    engine: str
    ms_per_mb: float


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs models on a platform.

    Attributes:
        format: the files that it takes.
        npu: what to take if there is a neural processor; None if the platform has no use for it.
        gpu: the same of a graphics processor.
        cpu: what is always there.
    """

    format: str
    npu: Accelerator | None
    gpu: Accelerator | None
    cpu: Accelerator


CLASSES: Final[Mapping[DeviceClass, ClassLimits]] = MappingProxyType(
    {
        DeviceClass.FLAGSHIP: ClassLimits(memory_mb=8_192, model_mb=2_048, slowness=1.0),
        DeviceClass.HIGH: ClassLimits(memory_mb=6_144, model_mb=1_024, slowness=1.5),
        DeviceClass.MID: ClassLimits(memory_mb=4_096, model_mb=500, slowness=2.5),
        DeviceClass.LOW: ClassLimits(memory_mb=0, model_mb=200, slowness=5.0),
    }
)
"""From the most capable to the least."""

_APPLE = Platform(
    "coreml", Accelerator("ane", 0.3), Accelerator("metal", 0.45), Accelerator("cpu", 0.9)
)
_ANDROID = Platform(
    "tflite", Accelerator("nnapi", 0.4), Accelerator("gpu_delegate", 0.6), Accelerator("xnnpack", 1)
)
_OTHER = Platform("onnx", None, None, Accelerator("onnx_runtime", 0.9))

PLATFORMS: Final[Mapping[str, Platform]] = MappingProxyType(
    {
        "ios": _APPLE,
        "ipados": _APPLE,
        "macos": _APPLE,
        "tvos": _APPLE,
        "visionos": _APPLE,
        "android": _ANDROID,
        "linux": _OTHER,
        "windows": _OTHER,
        "web": _OTHER,
    }
)

QUANTIZATIONS: Final[Mapping[str, float]] = MappingProxyType(
    {"float32": 32, "float16": 16, "int8": 8, "int4": 4}
)
"""Bits that a parameter takes, from the most exact to the least."""

UNQUANTIZED: Final = "none"
"""In the cloud a model runs as it is."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """What answers where the device does not.

    Attributes:
        endpoint: where it is asked.
        latency_ms: what is assumed until it was measured.
    """

    endpoint: str
    format: str
    engine: str
    latency_ms: float


CLOUD: Final = Cloud("/api/v1/inference", "onnx", "onnx_runtime", 50.0)
