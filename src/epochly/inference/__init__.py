"""The inference side of Epochly: every documented name, imported when it is first used."""

from typing import TYPE_CHECKING

from epochly._catalog import lazy_exports

if TYPE_CHECKING:  # what a type checker sees; the table below says the same at run time
    from epochly.inference.breaker import CircuitBreaker
    from epochly.inference.config import (
        BatchingConfig,
        CacheSettings,
        CompilationConfig,
        InferenceConfig,
        PrivacyConfig,
    )
    from epochly.inference.context import BatchKey, RequestContext
    from epochly.inference.metrics import (
        CostEstimator,
        InferenceMetrics,
        InferenceOTelExporter,
        PrometheusExporter,
    )
    from epochly.inference.privacy import (
        AuditLogger,
        InputRedactor,
        SecurityCheckResult,
        SecurityValidator,
        TenantIsolation,
    )

_HOMES = {
    "AuditLogger": "epochly.inference.privacy",
    "BatchKey": "epochly.inference.context",
    "BatchingConfig": "epochly.inference.config",
    "CacheSettings": "epochly.inference.config",
    "CircuitBreaker": "epochly.inference.breaker",
    "CompilationConfig": "epochly.inference.config",
    "CostEstimator": "epochly.inference.metrics",
    "InferenceConfig": "epochly.inference.config",
    "InferenceMetrics": "epochly.inference.metrics",
    "InferenceOTelExporter": "epochly.inference.metrics",
    "InputRedactor": "epochly.inference.privacy",
    "PrivacyConfig": "epochly.inference.config",
    "PrometheusExporter": "epochly.inference.metrics",
    "RequestContext": "epochly.inference.context",
    "SecurityCheckResult": "epochly.inference.privacy",
    "SecurityValidator": "epochly.inference.privacy",
    "TenantIsolation": "epochly.inference.privacy",
}

__all__ = [
    "AuditLogger",
    "BatchKey",
    "BatchingConfig",
    "CacheSettings",
    "CircuitBreaker",
    "CompilationConfig",
    "CostEstimator",
    "InferenceConfig",
    "InferenceMetrics",
    "InferenceOTelExporter",
    "InputRedactor",
    "PrivacyConfig",
    "PrometheusExporter",
    "RequestContext",
    "SecurityCheckResult",
    "SecurityValidator",
    "TenantIsolation",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
