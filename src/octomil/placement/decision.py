"""Where a model runs for a device: the decision of `POST /api/v1/route`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from octomil.placement.devices import Device, Model
from octomil.placement.table import CLASSES, CLOUD, UNQUANTIZED, Cloud, DeviceClass

Target = Literal["device", "cloud"]


class Preference(StrEnum):
    """What a caller wants most."""

    DEVICE = "device"
    CLOUD = "cloud"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"


class Cause(StrEnum):
    """Why it was decided so; statistics count these."""

    CAPABLE = "Device is capable, routing to on-device execution"
    TOO_SMALL = "Device RAM insufficient for safe inference"
    CLOUD_WANTED = "Cloud execution preferred by caller"
    CLOUD_FASTER = "Cloud is estimated to be faster than the device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured; each None until it was.

    Attributes:
        device_ms: latency of this model on devices like this one.
        ms_per_mb: pace of this device's engine, from the models that it was measured with.
        cloud_ms: latency of this model in the cloud.
    """

    device_ms: float | None = None
    ms_per_mb: float | None = None
    cloud_ms: float | None = None

    @property
    def is_of_device(self) -> bool:
        """Whether anything here is of the device."""
        return self.device_ms is not None or self.ms_per_mb is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model runs for a device.

    Attributes:
        fallback: the cloud, whatever the target: a device may fail at any time.
        device_latency_ms: estimate; None if the model does not fit the device.
        cloud_latency_ms: estimate.
        is_measured: whether the estimate for the device stands on measurements.
        detail: the device's class and the model's size, in words.
    """

    target: Target
    format: str
    engine: str
    quantization: str
    cause: Cause
    fallback: Cloud
    device_class: DeviceClass
    device_latency_ms: float | None
    cloud_latency_ms: float
    is_measured: bool
    detail: str

    @property
    def reason(self) -> str:
        """Why, and about what, in words."""
        return f"{self.cause}. {self.detail}"


_NOTHING_MEASURED = Measured()


def place(
    model: Model,
    device: Device,
    prefer: Preference = Preference.DEVICE,
    measured: Measured = _NOTHING_MEASURED,
) -> Placement:
    """Decide where a model runs for a device.

    The device costs nothing per request, so that `cheapest` is the device wherever the model fits.

    Args:
        model: what is to run.
        device: who asks.
        prefer: what is wanted most; a model that does not fit goes to the cloud all the same.
        measured: what is known better than by the table.

    Example:
        >>> phone = Device(platform="ios", total_memory_mb=8192, npu_available=True)
        >>> found = place(Model(500_000_000, 250), phone)
        >>> found.target, found.format, found.engine, found.quantization
        ('device', 'coreml', 'ane', 'int4')
    """
    device_class = device.device_class
    quantization = model.quantization_within(CLASSES[device_class].model_mb)
    cloud_ms = CLOUD.latency_ms if measured.cloud_ms is None else measured.cloud_ms
    device_ms = None
    if quantization is not None:
        device_ms = _device_ms(model.size_as(quantization), device, device_class, measured)
    cause = _cause(prefer, device_ms, cloud_ms)
    stays = cause is Cause.CAPABLE
    return Placement(
        target="device" if stays else "cloud",
        format=device.runs.format if stays else CLOUD.format,
        engine=device.accelerator.engine if stays else CLOUD.engine,
        quantization=quantization if stays and quantization is not None else UNQUANTIZED,
        cause=cause,
        fallback=CLOUD,
        device_class=device_class,
        device_latency_ms=device_ms,
        cloud_latency_ms=cloud_ms,
        is_measured=device_ms is not None and measured.is_of_device,
        detail=f"Device tier={device_class}, "
        f"model={model.parameters:,} params / {model.size_mb:g}MB",
    )


def _cause(prefer: Preference, device_ms: float | None, cloud_ms: float) -> Cause:
    if device_ms is None:
        return Cause.TOO_SMALL
    if prefer is Preference.CLOUD:
        return Cause.CLOUD_WANTED
    if prefer is Preference.FASTEST and cloud_ms < device_ms:
        return Cause.CLOUD_FASTER
    return Cause.CAPABLE


def _device_ms(
    size_mb: float, device: Device, device_class: DeviceClass, measured: Measured
) -> float:
    """Estimate by the best that is known: this model, this engine's pace, the table."""
    if measured.device_ms is not None:
        return round(measured.device_ms, 1)
    if measured.ms_per_mb is not None:
        return round(size_mb * measured.ms_per_mb, 1)
    pace = device.accelerator.ms_per_mb * CLASSES[device_class].slowness
    return round(size_mb * pace, 1)
