"""How versions fare on devices while they are rolled out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUsage:
    """What a device did with a version since a rollout's step began.

    Attributes:
        digest: of the manifest of the version, 64 hexadecimal digits.
        tier: of the model where the device serves several; else empty.
        requests: how many ended well, or by the device's fault.
        errors: how many of these ended by its fault.
        log_latency_ms_sum: over those that ended well, of the natural logarithms of milliseconds.
    """

    device_id: str
    digest: str
    tier: str
    requests: int
    errors: int
    log_latency_ms_sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Sums over devices, each of which has one value."""

    count: int
    total: float
    total_of_squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmUsage:
    """What the devices did that ran one version.

    Attributes:
        error_shares: of the devices that answered requests, the shares of these that failed.
        log_latencies: of those some of whose requests ended well, the means of the logarithms.
    """

    error_shares: Spread
    log_latencies: Spread
