"""How the versions of models fare on a device, as sums over the requests that it answered."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.numbers import EXACT
from octomil.wire.rollouts import ManifestDigest
from octomil.wire.texts import Identifier, Matches

Window = Annotated[int, Interval(ge=1, le=2**53 - 1), EXACT]
TierName = Annotated[str, Matches(r"^[a-z_]{0,32}$")]
Requests = Annotated[int, Interval(ge=1, le=10**9), EXACT]
Errors = Annotated[int, Interval(ge=0, le=10**9), EXACT]
LogSum = Annotated[float, Interval(ge=-1e11, le=1e11), EXACT]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one version did in a window.

    Attributes:
        digest: of the manifest of the version that ran.
        tier: of the model where it serves several; empty where there are none.
        requests: how many ended well, or by the device's fault.
        errors: how many of these ended by its fault.
        log_latency_ms_sum: over those that ended well, the sum of the natural logarithms of their
            latencies in milliseconds; 0 if there is none.
    """

    model_id: Identifier
    digest: ManifestDigest
    tier: TierName = ""
    requests: Requests
    errors: Errors = 0
    log_latency_ms_sum: LogSum = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """`POST /devices/{id}/usage`: what a device did since its last report.

    Attributes:
        window: greater than that of the device's last report; the same again counts nothing.
        usage: what each version did; what comes twice adds up.
    """

    window: Window
    usage: Annotated[list[UsageRow], MinLen(1), MaxLen(64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """What came of a report.

    Attributes:
        window: the last one that was counted; the device's next is greater.
        counted: whether it was this report's.
    """

    device_id: str
    window: int
    counted: bool
