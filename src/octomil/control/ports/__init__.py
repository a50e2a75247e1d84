"""What the services need from the outside: the unit of work, blobs, and the time.

A `Transaction` belongs to one organisation, and its repositories can neither see nor touch what is
another's: the organisation is no argument of any method. The few things that must be found before
it is known whose they are stand apart, in `SystemTransaction`.
"""

from octomil.control.ports.audit import Audit, AuditError
from octomil.control.ports.blobs import BlobStore, Spool
from octomil.control.ports.credentials import ApiKeys, BootstrapTokens, TokenFamilies
from octomil.control.ports.devices import Devices
from octomil.control.ports.files import BlobLedger, Blobs, Uploads
from octomil.control.ports.inference import Ending, GenerationQuery, InferenceBackend, Piece
from octomil.control.ports.leftovers import Leftovers
from octomil.control.ports.limits import LimitsUnavailableError, SharedLimits
from octomil.control.ports.placement import DeviceProfiles, RouteTallies
from octomil.control.ports.quality import Quality, QualityLedger
from octomil.control.ports.registry import Aliases, Lineage, ManifestKeys, Models, Versions
from octomil.control.ports.requests import IdempotencyKeys
from octomil.control.ports.rollouts import (
    Attestations,
    Offers,
    RolloutDevices,
    Rollouts,
    Rulings,
)
from octomil.control.ports.routing_series import RoutingHours, RoutingSeries
from octomil.control.ports.store import (
    OutcomeUnknownError,
    Store,
    StoreBusyError,
    StoreUnreachableError,
    SystemTransaction,
    Transaction,
    TransactionConflictError,
)
from octomil.control.ports.time import Clock
from octomil.control.ports.usage import Usage
from octomil.control.ports.webhooks import (
    Deliveries,
    Outbox,
    Webhooks,
    WebhookSender,
    WebhookUnreachableError,
)

__all__ = [
    "Aliases",
    "ApiKeys",
    "Attestations",
    "Audit",
    "AuditError",
    "BlobLedger",
    "BlobStore",
    "Blobs",
    "BootstrapTokens",
    "Clock",
    "Deliveries",
    "DeviceProfiles",
    "Devices",
    "Ending",
    "GenerationQuery",
    "IdempotencyKeys",
    "InferenceBackend",
    "Leftovers",
    "LimitsUnavailableError",
    "Lineage",
    "ManifestKeys",
    "Models",
    "Offers",
    "Outbox",
    "OutcomeUnknownError",
    "Piece",
    "Quality",
    "QualityLedger",
    "RolloutDevices",
    "Rollouts",
    "RouteTallies",
    "RoutingHours",
    "RoutingSeries",
    "Rulings",
    "SharedLimits",
    "Spool",
    "Store",
    "StoreBusyError",
    "StoreUnreachableError",
    "SystemTransaction",
    "TokenFamilies",
    "Transaction",
    "TransactionConflictError",
    "Uploads",
    "Usage",
    "Versions",
    "WebhookSender",
    "WebhookUnreachableError",
    "Webhooks",
]
