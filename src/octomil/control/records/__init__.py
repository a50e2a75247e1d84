"""What the control plane remembers, as plain values; rows of the store become these."""

from octomil.control.records.audit import Act, NotedAct
from octomil.control.records.credentials import (
    ApiKey,
    BootstrapToken,
    Revocation,
    SigningSecret,
    TokenFamily,
)
from octomil.control.records.devices import (
    EMPTY_PROFILE,
    Device,
    DeviceFilter,
    DeviceOrder,
    Profile,
)
from octomil.control.records.files import Blob, SpooledFile, Upload
from octomil.control.records.organisations import Organisation
from octomil.control.records.placement import DeviceProfile, RouteTally
from octomil.control.records.quality import Known, QualityRange, Stretch, Subject
from octomil.control.records.registry import (
    Alias,
    ManifestKey,
    Model,
    Origin,
    SignedManifest,
    Version,
    VersionFile,
)
from octomil.control.records.requests import KeptAnswer, RequestKey
from octomil.control.records.rollouts import Attestation, Rollout, RolloutDevice
from octomil.control.records.routing_series import (
    OTHER_MODELS,
    RoutingKey,
    RoutingRange,
    RoutingSums,
    RoutingTotal,
)
from octomil.control.records.usage import ArmUsage, DeviceUsage, Spread
from octomil.control.records.webhooks import Delivery, DeliveryState, Event, Webhook

__all__ = [
    "EMPTY_PROFILE",
    "OTHER_MODELS",
    "Act",
    "Alias",
    "ApiKey",
    "ArmUsage",
    "Attestation",
    "Blob",
    "BootstrapToken",
    "Delivery",
    "DeliveryState",
    "Device",
    "DeviceFilter",
    "DeviceOrder",
    "DeviceProfile",
    "DeviceUsage",
    "Event",
    "KeptAnswer",
    "Known",
    "ManifestKey",
    "Model",
    "NotedAct",
    "Organisation",
    "Origin",
    "Profile",
    "QualityRange",
    "RequestKey",
    "Revocation",
    "Rollout",
    "RolloutDevice",
    "RouteTally",
    "RoutingKey",
    "RoutingRange",
    "RoutingSums",
    "RoutingTotal",
    "SignedManifest",
    "SigningSecret",
    "SpooledFile",
    "Spread",
    "Stretch",
    "Subject",
    "TokenFamily",
    "Upload",
    "Version",
    "VersionFile",
    "Webhook",
]
