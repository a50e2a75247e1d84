"""Privacy and security: what may be stored where, redaction, tenants, keys, the audit log."""

from epochly._catalog import lazy_exports

_HOMES = {
    "AuditLogger": "epochly.inference.privacy.audit",
    "InputRedactor": "epochly.inference.privacy.redaction",
    "PrivacyConfig": "epochly.inference.privacy.config",
    "PrivacyMode": "epochly.inference.privacy.modes",
    "SecurityCheckResult": "epochly.inference.privacy.security",
    "SecurityValidator": "epochly.inference.privacy.security",
    "StoragePolicy": "epochly.inference.privacy.modes",
    "TenantIsolation": "epochly.inference.privacy.tenancy",
}

__all__ = [
    "AuditLogger",
    "InputRedactor",
    "PrivacyConfig",
    "PrivacyMode",
    "SecurityCheckResult",
    "SecurityValidator",
    "StoragePolicy",
    "TenantIsolation",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
