"""Devices, their heartbeats, and what they are assigned to run."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import MaxLen

from octomil.wire.texts import Identifier, Label, Matches, NoOtherKeys, Plain
from octomil.wire.versions import SignatureView

MAX_TAGS = 64
"""So many labels a device may have, and so many groups it may be in."""

MAX_WAIT_S = 60.0
"""So long a poll may wait for news."""

LabelName = Annotated[str, Matches(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, MaxLen(63), Plain]
GroupName = Annotated[str, Matches(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Labels = Annotated[dict[LabelName, LabelValue], MaxLen(MAX_TAGS), NoOtherKeys()]
Groups = Annotated[list[GroupName], MaxLen(MAX_TAGS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistration:
    """`POST /devices/register`.

    Attributes:
        device_identifier: what the device calls itself; the same one is the same device.
        org_id: the organisation it belongs to; that of the key where it is left out.
        metadata: anything the device wants to be known by.
        capabilities: what it can do, such as `{"training": true}`.
        feature_schema: names and kinds of the features it holds data for.
    """

    device_identifier: Identifier
    org_id: Identifier | None = None
    platform: Label | None = None
    os_version: Label | None = None
    sdk_version: Label | None = None
    app_version: Label | None = None
    metadata: dict[str, Any] | None = None
    capabilities: dict[str, Any] | None = None
    feature_schema: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """A registered device.

    Attributes:
        created_at: when it was first registered, RFC 3339 in UTC.
        last_seen_at: when it last asked for something, to within some seconds.
        labels: given by whoever runs the fleet.
        groups: those it is in, sorted.
    """

    id: str
    device_identifier: str
    org_id: str
    platform: str | None
    os_version: str | None
    sdk_version: str | None
    app_version: str | None
    metadata: dict[str, Any]
    capabilities: dict[str, Any]
    feature_schema: Any
    status: str
    created_at: str
    updated_at: str
    last_seen_at: str | None
    labels: dict[str, str]
    groups: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePage:
    """`GET /devices`.

    Attributes:
        next_cursor: leads to the next page; None on the last.
    """

    devices: list[DeviceView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChange:
    """`PATCH /devices/{id}`; what is left out stays as it is.

    Attributes:
        labels: merged into those that are there (RFC 7396): null removes one.
        groups: those it is in from now on.
    """

    labels: (
        Annotated[dict[LabelName, LabelValue | None], MaxLen(MAX_TAGS), NoOtherKeys()] | None
    ) = None
    groups: Groups | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRemoved:
    """`DELETE /devices/{id}`."""

    id: str
    status: str = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRevoked:
    """`POST /devices/{id}/revoke`.

    Attributes:
        refresh_tokens: how many families of them ended.
    """

    id: str
    refresh_tokens: int
    status: str = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatRequest:
    """`POST /devices/{id}/heartbeat`; everything in it is optional."""

    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatAnswer:
    """What a heartbeat is answered with.

    Attributes:
        server_time: RFC 3339 in UTC.
    """

    status: str
    server_time: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A model version that a device is to run.

    Attributes:
        name: the model's, as the manifest has it.
        digest: of the version's manifest, `sha256:` and 64 hexadecimal digits.
        sequence: grows with every change; a device takes none smaller than the last it took.
        signature: over the statement of all the rest and the device's id
            (`registry.assignments`), as a DSSE payload.
    """

    model_id: str
    name: str
    version: str
    digest: str
    sequence: int
    signature: SignatureView


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentsAnswer:
    """`GET /devices/{id}/assignments`.

    Attributes:
        updated: whether this answer is news to who has the `config_version` that the device named.
        config_version: of the plan that this answer comes from; grows with every change, and when a
            backup is restored; below 2^53.
        assignments: what the device is to run, of each model that it is told something about; none
            where nothing is news.
        held: digests of the manifests of what the device is told nothing about for now, because
            the rollout that offers it is paused: who has begun goes on. None where nothing is news.
    """

    updated: bool
    config_version: int
    assignments_changed: bool
    rollouts_changed: bool
    assignments: list[Assignment]
    held: list[str] = field(default_factory=list)
