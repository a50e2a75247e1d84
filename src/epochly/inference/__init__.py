"""The inference side of Epochly: every documented name, imported when it is first used."""

from typing import TYPE_CHECKING

from epochly._catalog import lazy_exports

if TYPE_CHECKING:  # what a type checker sees; the table below says the same at run time
    from epochly.inference.breaker.circuit import CircuitBreaker
    from epochly.inference.config.inference import InferenceConfig
    from epochly.inference.config.tables import (
        BatchingConfig,
        CacheSettings,
        CompilationConfig,
        PrivacyConfig,
    )
    from epochly.inference.context.batch_key import BatchKey
    from epochly.inference.context.request import RequestContext
    from epochly.inference.metrics.collector import InferenceMetrics
    from epochly.inference.metrics.cost import CostEstimator
    from epochly.inference.metrics.otel import InferenceOTelExporter
    from epochly.inference.metrics.prometheus import PrometheusExporter
    from epochly.inference.privacy.audit import AuditLogger
    from epochly.inference.privacy.redaction import InputRedactor
    from epochly.inference.privacy.security import SecurityCheckResult, SecurityValidator
    from epochly.inference.privacy.tenancy import TenantIsolation

_HOMES = {
    "AuditLogger": "epochly.inference.privacy.audit",
    "BatchKey": "epochly.inference.context.batch_key",
    "BatchingConfig": "epochly.inference.config.tables",
    "CacheSettings": "epochly.inference.config.tables",
    "CircuitBreaker": "epochly.inference.breaker.circuit",
    "CompilationConfig": "epochly.inference.config.tables",
    "CostEstimator": "epochly.inference.metrics.cost",
    "InferenceConfig": "epochly.inference.config.inference",
    "InferenceMetrics": "epochly.inference.metrics.collector",
    "InferenceOTelExporter": "epochly.inference.metrics.otel",
    "InputRedactor": "epochly.inference.privacy.redaction",
    "PrivacyConfig": "epochly.inference.config.tables",
    "PrometheusExporter": "epochly.inference.metrics.prometheus",
    "RequestContext": "epochly.inference.context.request",
    "SecurityCheckResult": "epochly.inference.privacy.security",
    "SecurityValidator": "epochly.inference.privacy.security",
    "TenantIsolation": "epochly.inference.privacy.tenancy",
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
