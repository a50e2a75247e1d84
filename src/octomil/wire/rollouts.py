"""Rollouts, and what devices attest that they run."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MaxLen

from octomil.wire.known_fields import KnownFields
from octomil.wire.numbers import Flag
from octomil.wire.rollout_plans import (
    GatesRequest,
    GatesView,
    PacingRequest,
    PacingView,
    Percentage,
    Seconds,
)
from octomil.wire.texts import Identifier, Matches, Plain

AttestedStatus = Literal["active", "failed"]
Stage = Literal["downloading", "verifying", "staged", "activating"]
ManifestDigest = Annotated[str, Matches(r"^sha256:[0-9a-f]{64}$")]
Message = Annotated[str, MaxLen(2000), Plain]
FailureCode = Annotated[str, Matches(r"^[a-z][a-z_]{0,62}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRequest(KnownFields):
    """`POST /models/{id}/rollouts`; what is left out is as usual.

    Attributes:
        version: a published version's number.
        rollout_percentage: share of the devices to begin with.
        target_percentage: share to end with.
        increment_step: percentage points that each step adds.
        start_immediately: offer it now; else it is pending until it is started.
        automatic: whether a step is taken as soon as the gates pass; else by hand alone.
        health_window_s: seconds that a device must stay healthy after it took the version.
        dwell_s: seconds that all of a step is offered at least, before the next.
        patience_s: seconds without a verdict after which the rollout pauses.
        pacing: how fast the version is offered inside a step.
        gates: what the gates measure by.
    """

    version: Identifier
    rollout_percentage: Percentage = 10
    target_percentage: Percentage = 100
    increment_step: Percentage = 10
    start_immediately: Flag = False
    automatic: Flag = True
    health_window_s: Seconds | None = None
    dwell_s: Seconds | None = None
    patience_s: Seconds | None = None
    pacing: PacingRequest | None = None
    gates: GatesRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRequest(KnownFields):
    """`POST …/start`, `/pause`, `/resume`, `/rollback`.

    Attributes:
        reason: why, for the history.
    """

    reason: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceRequest(KnownFields):
    """`POST …/advance`.

    Attributes:
        custom_increment: percentage points to add instead of the plan's.
        reason: why, for the history.
    """

    custom_increment: Percentage | None = None
    reason: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentageRequest(KnownFields):
    """`POST …/update-percentage`.

    Attributes:
        percentage: the share of the devices that the version goes up to.
        reason: why, for the history.
    """

    percentage: Percentage
    reason: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """What one gate said.

    Attributes:
        gate: devices, errors or latency.
        verdict: pass, breach or inconclusive.
        devices: how many took the version and came to an end.
        candidate: the new version's share; of latencies, their mean.
        baseline: the old version's; null where there is none to compare with.
        is_waived: whether the step goes on without this gate.
    """

    gate: str
    verdict: str
    devices: int
    candidate: float | None
    baseline: float | None
    reason: str
    is_waived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """A rollout.

    Attributes:
        digest: of the version's manifest, `sha256:` and 64 hexadecimal digits.
        status: pending, active, paused, completed, rolled_back or failed.
        step: 0 before the start, 1 for the first.
        rollout_percentage: share of the devices that its step goes up to; before the start, that
            the first goes up to.
        offered_percentage: share that is offered the version so far.
        target_percentage: share to end with.
        increment_step: percentage points that each step adds.
        automatic: whether a step is taken as soon as the gates pass.
        health_window_s: seconds that a device must stay healthy after it took the version.
        dwell_s: seconds that all of a step is offered at least, before the next.
        patience_s: seconds without a verdict after which the rollout pauses.
        active_devices: how many attested that they run it.
        failed_devices: how many said that they cannot.
        waits_for: what it waits for, in words, as the replica that answers saw it last; null where
            it was not looked at since its last change, or is over.
        next_at: when time alone may change that; null if only devices or people can.
        evidence: what the gates said then.
        looked_at: when that was.
        revision: one more for every change.
        created_at: RFC 3339 in UTC, as are the others.
    """

    id: str
    model_id: str
    version: str
    digest: str
    status: str
    step: int
    rollout_percentage: float
    offered_percentage: float
    target_percentage: float
    increment_step: float
    automatic: bool
    health_window_s: float
    dwell_s: float
    patience_s: float
    pacing: PacingView
    gates: GatesView
    active_devices: int
    failed_devices: int
    waits_for: str | None
    next_at: str | None
    evidence: list[FindingView]
    looked_at: str | None
    revision: int
    created_at: str
    started_at: str | None
    completed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionView:
    """One change of a rollout.

    Attributes:
        action: start, widen, advance, set_percentage, lower, pause, resume, complete, roll_back or
            fail.
        from_status: where it stood.
        status: where it stood then.
        percentage: share that its step went up to then.
        offered_percentage: share that was offered the version then.
        at: RFC 3339 in UTC.
        actor: who did it; `controller` if nobody.
        reason: why.
        evidence: what the gates said, if they were asked.
    """

    revision: int
    action: str
    from_status: str
    status: str
    step: int
    percentage: float
    offered_percentage: float
    at: str
    actor: str
    reason: str
    evidence: list[FindingView]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDeviceView:
    """Where a device stands with a rollout whose version it took.

    Attributes:
        state: downloading, verifying, staged, activating, confirming, succeeded, failed,
            timed_out, rolled_back or superseded.
        code: why it failed, in one word.
        since: when it came into its state, RFC 3339 in UTC, as is the other.
        model_id: the rollout's.
        version: what it attested last of this model, as are the following.
    """

    device_id: str
    state: str
    code: str | None
    since: str
    model_id: str
    version: str | None
    digest: str | None
    status: str | None
    message: str | None
    attested_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDevicePage:
    """`GET …/rollouts/{id}/affected-devices`, by the devices' ids.

    Attributes:
        next_cursor: leads to the next page; None on the last.
    """

    devices: list[RolloutDeviceView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockView:
    """Whether a version may be rolled out.

    Attributes:
        is_blocked: whether it was rolled back for its health, and nobody has lifted that since.
        reason: why it is blocked; else null.
        since: RFC 3339 in UTC; null if it is not.
    """

    version: str
    is_blocked: bool
    reason: str | None
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationRequest:
    """`POST /devices/{id}/attestations`: what a device found when it looked at what it runs.

    Attributes:
        digest: of the manifest of what it runs, or of what it could not run.
        status: `failed` if it could not, `message` says why.
        code: the same in one word; that of a full disk or a lost network speaks not against it.
    """

    model_id: Identifier
    version: Identifier
    digest: ManifestDigest
    status: AttestedStatus = "active"
    message: Message | None = None
    code: FailureCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationView:
    """What a device attested last about a model.

    Attributes:
        attested_at: RFC 3339 in UTC.
        confirmed_after_s: seconds after which it should look again and attest what it finds; null
            where nobody waits for that.
    """

    device_id: str
    model_id: str
    version: str
    digest: str
    status: str
    message: str | None
    attested_at: str
    confirmed_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """`POST /devices/{id}/stages`: how far a device is with a version, before it attests it.

    Attributes:
        digest: of the version's manifest.
        stage: what it does now.
    """

    model_id: Identifier
    digest: ManifestDigest
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """What became of that.

    Attributes:
        is_noted: whether the device is offered that version; else it says nothing.
    """

    device_id: str
    model_id: str
    stage: str
    is_noted: bool
