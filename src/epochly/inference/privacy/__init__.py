"""Privacy and security: what may be stored where, redaction, tenants, keys, the audit log."""

from epochly.inference.privacy.audit import AuditLogger
from epochly.inference.privacy.config import PrivacyConfig
from epochly.inference.privacy.modes import PrivacyMode, StoragePolicy
from epochly.inference.privacy.redaction import InputRedactor
from epochly.inference.privacy.security import SecurityCheckResult, SecurityValidator
from epochly.inference.privacy.tenancy import TenantIsolation

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
