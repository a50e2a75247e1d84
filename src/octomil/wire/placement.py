"""Where a model runs for a device, what was decided so far, and how fast devices are."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from octomil.wire.known_fields import KnownFields
from octomil.wire.numbers import EXACT, Flag
from octomil.wire.texts import Identifier, Label

MAX_MEASURED = 64
"""So many models a profile may hold."""
MAX_FINDINGS = 32

PlatformName = Literal[
    "ios", "ipados", "macos", "tvos", "visionos", "android", "linux", "windows", "web"
]
TargetName = Literal["device", "cloud"]
PreferenceName = Literal["device", "cloud", "cheapest", "fastest"]
AcceleratorName = Literal["npu", "gpu", "cpu"]

_Parameters = Annotated[int, Ge(1), Le(10**15), EXACT]
_Megabytes = Annotated[float, Ge(1e-6), Le(1e9), EXACT]
_WholeMegabytes = Annotated[int, Ge(1), Le(10**9), EXACT]
_Rate = Annotated[float, Ge(1e-6), Le(1e9), EXACT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a device can do, as its profile says it.

    Attributes:
        platform: what it runs.
        total_memory_mb: memory of the whole device, in megabytes.
        gpu_available: whether models may use a graphics processor.
        npu_available: whether they may use a neural processor.
    """

    platform: PlatformName
    total_memory_mb: _WholeMegabytes
    gpu_available: Flag = False
    npu_available: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCapabilities(Capabilities, KnownFields):
    """What a device can do, as a decision is asked for: nothing else counts, or is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest(KnownFields):
    """`POST /route`.

    Attributes:
        model_id: whatever the caller calls the model; statistics go by it.
        model_params: how many parameters it has.
        model_size_mb: size of its file, in megabytes of a million bytes.
        device_capabilities: of the device that is to run it.
        prefer: what is wanted most.
    """

    model_id: Identifier
    model_params: _Parameters
    model_size_mb: _Megabytes
    device_capabilities: DeviceCapabilities
    prefer: PreferenceName = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackTarget:
    """What to take when the target fails.

    Attributes:
        endpoint: path to ask, on this server.
    """

    target: TargetName
    endpoint: str
    format: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatesMeasured:
    """Which estimates stand on measurements; the others on assumptions, which the table has."""

    device: bool
    cloud: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """Where a model is to run.

    Attributes:
        id: of this decision, for the caller's own records.
        quantization: `float32`, `float16`, `int8`, `int4`, or `none` for the model as it is.
        fallback_target: the cloud, always.
        device_class: by the device's memory.
        estimated_device_latency_ms: of one pass through the model, which is one token of a text
            model; null if it does not fit the device.
        estimated_cloud_latency_ms: the same in the cloud.
        routing_latency_us: time the decision took.
        estimates_measured: which of the two estimates were measured, by whichever engine ran the
            model on the device.
    """

    id: str
    target: TargetName
    format: str
    engine: str
    quantization: str
    reason: str
    fallback_target: FallbackTarget
    device_class: str
    estimated_device_latency_ms: float | None
    estimated_cloud_latency_ms: float
    routing_latency_us: int
    estimates_measured: EstimatesMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How often something was the reason."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStats:
    """`GET /route/stats/{model_id}`.

    Attributes:
        device_pct: share of all decisions, to one decimal; the two shares make 100.
        common_reasons: the most common first.
        avg_routing_latency_us: null before the first decision.
    """

    model_id: str
    total_decisions: int
    device_count: int
    cloud_count: int
    device_pct: float
    cloud_pct: float
    common_reasons: list[ReasonCount]
    avg_routing_latency_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyThresholds:
    """Lengths of a text, in words.

    Attributes:
        fast_max_words: fewer are a short text.
        quality_min_words: as many are a long one.
    """

    fast_max_words: int
    quality_min_words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPolicyView:
    """`GET /route/policy`: what published clients route queries by, where no node does.

    Attributes:
        complex_indicators: words that tell of a hard query, in lower case.
        ttl_seconds: so long a client may go by it without asking again.
        indicator_normalizor: so many of the words count in full.
    """

    version: int
    thresholds: PolicyThresholds
    complex_indicators: list[str]
    deterministic_enabled: bool
    ttl_seconds: int
    length_weight: float
    indicator_weight: float
    fast_threshold: float
    quality_threshold: float
    indicator_normalizor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """How a model ran on a device.

    Attributes:
        model_id: what `POST /route` calls it.
        model_size_mb: size of its file, in megabytes of a million bytes.
        model_params: how many parameters it has; null where unknown.
        engine: what ran it, such as `llama_cpp`.
        tokens_per_s: how fast it wrote.
        first_token_ms: time to the first token of a short prompt; null where not measured.
        memory_mb: resident memory of what ran it; null where not measured.
    """

    model_id: Identifier
    model_size_mb: _Megabytes
    model_params: _Parameters | None = None
    engine: Label
    tokens_per_s: _Rate
    first_token_ms: _Rate | None = None
    memory_mb: _Megabytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFinding:
    """What was looked for, and whether it is there.

    Attributes:
        what: such as `gpu`.
        detail: what it is, or where it was looked for in vain.
    """

    what: Label
    found: Flag
    detail: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileUpload(Capabilities):
    """`PUT /devices/{device_id}/profile`: what a device measured of itself.

    Attributes:
        accelerator: what the models ran on.
        threads: of the processor, that each model had; null where that means nothing.
        models: of each, once.
        hardware: what was looked for.
    """

    accelerator: AcceleratorName
    threads: Annotated[int, Ge(1), Le(2**31), EXACT] | None = None
    models: Annotated[list[MeasuredModel], MaxLen(MAX_MEASURED)]
    hardware: Annotated[list[HardwareFinding], MaxLen(MAX_FINDINGS)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView(Capabilities):
    """A device's profile.

    Attributes:
        device_class: by its memory.
        ms_per_mb: time for a megabyte of weights, the median of the models; null without any.
        measured_at: when it was taken here, RFC 3339 in UTC.
    """

    device_id: str
    accelerator: AcceleratorName
    threads: int | None
    models: list[MeasuredModel]
    hardware: list[HardwareFinding]
    device_class: str
    ms_per_mb: float | None
    measured_at: str
