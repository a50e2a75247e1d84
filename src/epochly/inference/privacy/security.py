"""Start-up checks: would these settings leak, or let something past the safety gates?"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal, Protocol

from epochly.errors import ConfigurationError
from epochly.inference.privacy.config import PRIVACY_MODES
from epochly.inference.privacy.modes import PrivacyMode
from epochly.inference.privacy.sizes import size_in_bytes
from epochly.inference.privacy.tenancy import TenantIsolation

MAX_INPUT_SIZE_BYTES: Final = 10_485_760
MAX_TOLERANCE: Final = 1e-2
"""Errors above this are no rounding: half precision differs from single by about 1e-3."""

Severity = Literal["info", "warning", "critical"]


class TenantScopedCache(Protocol):
    """What a cache shows of itself so that its isolation can be checked."""

    @property
    def tenant_isolation(self) -> TenantIsolation | None:
        """What namespaces the keys; None where nothing does."""
        ...

    def storage_key(self, model_id: Any, inputs: Any) -> str:
        """Return the key under which the result of that call is stored."""
        ...


@dataclass(frozen=True, slots=True)
class SecurityCheckResult:
    """What one check found.

    Attributes:
        name: the check.
        passed: whether it is safe to go on.
        severity: `"info"`; `"warning"` for what passed but should be known; `"critical"` for
            what failed.
        message: one sentence, with the next step where there is one.
        details: the single findings.
    """

    name: str
    passed: bool
    severity: Severity = "info"
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class SecurityValidator:
    """Validate security settings before traffic is taken.

    A check that cannot come to a result has failed.

    Args:
        max_input_size_bytes: the largest input that `check_input_size` lets pass.

    Raises:
        ConfigurationError: the limit is below 1.

    Example:
        >>> SecurityValidator().check_privacy_controls("persisted_encrypted", False, True).passed
        False
    """

    def __init__(self, max_input_size_bytes: int = MAX_INPUT_SIZE_BYTES) -> None:
        if max_input_size_bytes < 1:
            raise ConfigurationError(
                f"max_input_size_bytes must be 1 or more, got {max_input_size_bytes}"
            )
        self.max_input_size_bytes = max_input_size_bytes

    def check_cache_isolation(self, cache: Any) -> SecurityCheckResult:
        """Check that the keys of a cache are its tenant's own.

        Args:
            cache: a :class:`TenantScopedCache`, or None where nothing is cached.
        """
        return _guarded("cache_isolation", lambda: _isolation_findings(cache), _CACHE_SAFE)

    def check_privacy_controls(
        self, privacy_mode: str, encryption_key_present: bool, redaction_patterns_configured: bool
    ) -> SecurityCheckResult:
        """Check that the privacy mode is one and has what it needs.

        Args:
            privacy_mode: the mode of the configuration.
            encryption_key_present: whether its key can be had.
            redaction_patterns_configured: whether anything is redacted.
        """
        return _guarded(
            "privacy_controls",
            lambda: _privacy_findings(
                privacy_mode, encryption_key_present, redaction_patterns_configured
            ),
            "the privacy mode has what it needs",
        )

    def check_safety_bypass_resistance(self, config: Any) -> SecurityCheckResult:
        """Check that no setting switches the safety gates off or makes them pass everything.

        Args:
            config: an `InferenceConfig`, any tree of dataclasses and mappings, or None for the
                defaults.
        """
        return _guarded(
            "safety_bypass_resistance",
            lambda: (finding for path, value in _leaves(config) for finding in _judge(path, value)),
            "no setting weakens the safety gates",
        )

    def check_input_size(self, input_data: Any) -> SecurityCheckResult:
        """Check that an input is not larger than the limit; one as large as it passes.

        Args:
            input_data: text (counted as UTF-8), bytes, arrays and tensors, numbers, and lists and
                mappings of them.
        """
        limit = self.max_input_size_bytes

        def findings() -> Iterator[Finding]:
            size = size_in_bytes(input_data, limit)
            if size > limit:
                yield "size", f"the input is larger than {limit} bytes; send less at once", True

        return _guarded("input_size", findings, f"the input is not larger than {limit} bytes")

    def run_all_checks(
        self,
        cache: Any,
        privacy_mode: str,
        encryption_key_present: bool,
        redaction_patterns_configured: bool,
        config: Any,
    ) -> dict[str, Any]:
        """Run every check of the settings.

        Returns:
            `{"passed": bool, "checks": {name: SecurityCheckResult}, "failed": [name, …]}`.
        """
        results = (
            self.check_cache_isolation(cache),
            self.check_privacy_controls(
                privacy_mode, encryption_key_present, redaction_patterns_configured
            ),
            self.check_safety_bypass_resistance(config),
        )
        failed = [result.name for result in results if not result.passed]
        return {
            "passed": not failed,
            "checks": {result.name: result for result in results},
            "failed": failed,
        }


Finding = tuple[str, str, bool]
"""What it is about, what is wrong, and whether the check fails by it."""

_CACHE_SAFE = "the cache keeps each tenant's keys apart"


def _guarded(
    name: str, findings: Callable[[], Iterable[Finding]], safe: str
) -> SecurityCheckResult:
    """Turn findings, or the failure to find out, into a result."""
    try:
        found = list(findings())
    except Exception as err:  # noqa: BLE001 - whatever a foreign object raises, the check failed
        reason = f"the check could not be made: {type(err).__name__}: {err}"
        return SecurityCheckResult(name, passed=False, severity="critical", message=reason)
    passed = not any(fatal for _, _, fatal in found)
    severity: Severity = "info" if not found else "warning" if passed else "critical"
    message = "; ".join(text for _, text, fatal in found if fatal or passed) or safe
    return SecurityCheckResult(
        name, passed, severity, message, {about: text for about, text, _ in found}
    )


_HOSTILE_PAIRS = (("a", "b:c"), ("a:b", "c"), ("a%3Ab", "c"), ("a%3ab", "c"))


def _isolation_findings(cache: Any) -> Iterator[Finding]:
    if cache is None:
        return
    isolation = getattr(cache, "tenant_isolation", None)
    if isolation is None:
        yield "tenant_isolation", "the cache has no tenant isolation; give it one", True
        return
    keys = {type(isolation)(tenant).namespace_key(key) for tenant, key in _HOSTILE_PAIRS}
    if len(keys) < len(_HOSTILE_PAIRS):
        yield "namespace", "two tenants of the cache can have the same key", True
    prefix = isolation.namespace_key("")
    stored = cache.storage_key("security-check", "probe")
    if not prefix or not stored.startswith(prefix):
        yield "storage_key", f"the cache stores under a key without its tenant {prefix!r}", True


def _privacy_findings(mode: str, key_present: bool, redacts: bool) -> Iterator[Finding]:
    if mode not in PRIVACY_MODES:
        yield "mode", f"{mode!r} is not one of {', '.join(PRIVACY_MODES)}", True
    if mode == PrivacyMode.PERSISTED_ENCRYPTED:
        if not key_present:
            yield "key", "'persisted_encrypted' needs an encryption key; provide one", True
        if not redacts:
            yield "redaction", "content is persisted and nothing of it is redacted", False


_GATES = frozenset(
    {
        "canary_enabled",
        "circuit_breaker_enabled",
        "drift_enabled",
        "gates_enabled",
        "golden_enabled",
        "hysteresis_enabled",
        "safety_enabled",
        "validation_enabled",
    }
)
_GATE_TABLES = frozenset({"breaker", "canary", "circuit_breaker", "drift", "hysteresis", "safety"})
_BYPASSES = ("allow_unsafe", "bypass", "disable_", "force_", "skip_", "unsafe")


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every single setting with the names that lead to it."""
    if tree is None and not path:
        return
    if is_dataclass(tree) and not isinstance(tree, type):
        tree = {spec.name: getattr(tree, spec.name) for spec in fields(tree)}
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _leaves(value, (*path, str(name).lower()))
    elif path:
        yield path, tree
    else:
        raise TypeError(f"a configuration is expected, got {type(tree).__name__}")


def _judge(path: tuple[str, ...], value: Any) -> Iterator[Finding]:
    name, where = path[-1], ".".join(path)
    is_gate = name in _GATES or (name == "enabled" and len(path) > 1 and path[-2] in _GATE_TABLES)
    if is_gate and not value:
        yield where, f"{where} switches a safety gate off; leave it on", True
    elif name.startswith(_BYPASSES) and value:
        yield where, f"{where} lets work past the safety gates; take it out", True
    elif name == "tolerance" and not 0 <= value <= MAX_TOLERANCE:
        yield where, f"{where} is {value}, so a gate passes wrong answers; allow at most 0.01", True
    elif name == "max_level" and not 0 <= value <= 4:
        yield where, f"{where} is {value}; the levels are 0 to 4", True
    elif name == "initial_pct" and value >= 100:
        yield where, f"{where} sends all traffic at once; begin with less", True
    elif name == "max_level" and value == 4:
        yield where, f"{where} 4 permits changes of numerics", False
    elif name in ("cache_tenant_isolation", "audit_log_enabled") and not value:
        yield where, f"{where} is off", False
    elif isinstance(value, float) and math.isnan(value):
        yield where, f"{where} is not a number", True
