from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from epochly.errors import ConfigurationError
from epochly.inference import SecurityCheckResult, SecurityValidator, TenantIsolation
from epochly.inference.config import InferenceConfig
from epochly.inference.privacy.config import PrivacyConfig


@dataclass
class Cache:
    """A cache as far as the validator can see."""

    tenant_isolation: TenantIsolation | None
    forgets_tenant: bool = False

    def storage_key(self, model_id: Any, inputs: Any) -> str:
        key = f"{model_id}:{inputs}"
        if self.tenant_isolation is None or self.forgets_tenant:
            return key
        return self.tenant_isolation.namespace_key(key)


class NaiveIsolation(TenantIsolation):
    """The documented format without any care."""

    def namespace_key(self, key: str) -> str:
        return f"{self.tenant_id}:{key}"


@pytest.fixture
def validator() -> SecurityValidator:
    return SecurityValidator()


@pytest.mark.parametrize(
    "cache", [None, Cache(TenantIsolation("a")), Cache(TenantIsolation("a:b"))]
)
def test_an_isolated_cache_passes(validator: SecurityValidator, cache: Cache | None):
    result = validator.check_cache_isolation(cache)

    assert (result.name, result.passed, result.severity) == ("cache_isolation", True, "info")
    assert result.message


@pytest.mark.parametrize(
    ("cache", "about"),
    [
        (Cache(None), "tenant_isolation"),
        (Cache(NaiveIsolation("a")), "namespace"),
        (Cache(TenantIsolation("a"), forgets_tenant=True), "storage_key"),
    ],
)
def test_a_cache_that_mixes_tenants_fails(validator: SecurityValidator, cache: Cache, about: str):
    result = validator.check_cache_isolation(cache)

    assert not result.passed
    assert result.severity == "critical"
    assert set(result.details) == {about}
    assert result.details[about] in result.message


@dataclass
class OpaqueCache:
    """A cache that does not show its keys."""

    tenant_isolation: TenantIsolation


def test_a_cache_whose_keys_cannot_be_seen_fails(validator: SecurityValidator):
    result = validator.check_cache_isolation(OpaqueCache(TenantIsolation()))

    assert not result.passed
    assert "AttributeError" in result.message


@pytest.mark.parametrize(
    ("mode", "key", "redacts", "passed", "severity"),
    [
        ("ephemeral", False, False, True, "info"),
        ("hashes_only", False, False, True, "info"),
        ("persisted_encrypted", True, True, True, "info"),
        ("persisted_encrypted", True, False, True, "warning"),
        ("persisted_encrypted", False, True, False, "critical"),
        ("public", True, True, False, "critical"),
    ],
)
def test_privacy_controls(validator, mode, key, redacts, passed, severity):
    result = validator.check_privacy_controls(mode, key, redacts)

    assert (result.name, result.passed, result.severity) == ("privacy_controls", passed, severity)
    assert result.message


def test_a_missing_key_is_told_without_what_is_no_failure(validator: SecurityValidator):
    result = validator.check_privacy_controls("persisted_encrypted", False, False)

    assert set(result.details) == {"key", "redaction"}
    assert "redacted" not in result.message


@pytest.mark.parametrize("config", [None, {}, InferenceConfig()])
def test_the_defaults_resist_bypasses(validator: SecurityValidator, config: Any):
    result = validator.check_safety_bypass_resistance(config)

    assert (result.name, result.passed) == ("safety_bypass_resistance", True)
    assert result.severity == "info"


@pytest.mark.parametrize(
    "config",
    [
        {"safety": {"enabled": False}},
        {"Safety": {"Circuit_Breaker": {"enabled": False}}},
        {"canary_enabled": 0},
        {"compilation": {"tolerance": 0.5}},
        {"compilation": {"tolerance": float("nan")}},
        {"compilation": {"tolerance": -1.0}},
        {"max_level": 5},
        {"rollout": {"initial_pct": 100}},
        {"bypass_safety": True},
        {"skip_canary": "yes"},
        {"force_enable": 1},
        {"unsafe": True},
        {"batching": {"max_wait_ms": float("nan")}},
    ],
)
def test_a_weakened_gate_fails_by_name(validator: SecurityValidator, config: dict):
    result = validator.check_safety_bypass_resistance(config)

    assert not result.passed
    assert result.severity == "critical"
    assert len(result.details) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"max_level": 4},
        InferenceConfig(privacy=PrivacyConfig(cache_tenant_isolation=False)),
        {"privacy": {"audit_log_enabled": False}},
    ],
)
def test_a_risk_that_may_be_meant_is_a_warning(validator: SecurityValidator, config: Any):
    result = validator.check_safety_bypass_resistance(config)

    assert (result.passed, result.severity) == (True, "warning")
    assert result.message


@pytest.mark.parametrize(
    "config",
    [
        {"skip_canary": False},
        {"batching": {"enabled": False}},
        {"enabled": False},
        {"initial_pct": 1},
    ],
)
def test_what_weakens_no_gate_passes(validator: SecurityValidator, config: dict):
    assert validator.check_safety_bypass_resistance(config).severity == "info"


@pytest.mark.parametrize("config", [object(), {"tolerance": "much"}])
def test_a_check_that_errors_has_failed(validator: SecurityValidator, config: object):
    result = validator.check_safety_bypass_resistance(config)

    assert not result.passed
    assert "TypeError" in result.message


@pytest.mark.parametrize("make", [bytes, lambda n: "x" * n, lambda n: np.zeros(n, dtype=np.uint8)])
def test_the_documented_limit_passes_and_one_more_fails(validator: SecurityValidator, make):
    assert validator.max_input_size_bytes == 10_485_760
    assert validator.check_input_size(make(10_485_760)).passed
    assert not validator.check_input_size(make(10_485_761)).passed


def test_an_input_that_cannot_be_measured_fails(validator: SecurityValidator):
    result = validator.check_input_size(object())

    assert (result.name, result.passed) == ("input_size", False)
    assert "cannot be told" in result.message


def test_the_limit_is_configurable_and_must_make_sense():
    small = SecurityValidator(max_input_size_bytes=3)

    assert small.check_input_size("é").passed
    assert not small.check_input_size("éé").passed
    with pytest.raises(ConfigurationError, match="1 or more, got 0"):
        SecurityValidator(0)


def test_all_checks_together(validator: SecurityValidator):
    result = validator.run_all_checks(Cache(TenantIsolation()), "ephemeral", False, False, {})

    assert result["passed"] is True
    assert result["failed"] == []
    assert set(result) == {"passed", "checks", "failed"}
    assert {name: check.name for name, check in result["checks"].items()} == {
        "cache_isolation": "cache_isolation",
        "privacy_controls": "privacy_controls",
        "safety_bypass_resistance": "safety_bypass_resistance",
    }
    assert all(isinstance(check, SecurityCheckResult) for check in result["checks"].values())


def test_all_checks_name_each_that_failed(validator: SecurityValidator):
    result = validator.run_all_checks(Cache(None), "persisted_encrypted", False, True, object())

    assert result["passed"] is False
    assert result["failed"] == ["cache_isolation", "privacy_controls", "safety_bypass_resistance"]


def test_a_result_without_findings_is_plain():
    assert SecurityCheckResult("x", passed=True) == SecurityCheckResult(
        "x", passed=True, severity="info", message="", details={}
    )
