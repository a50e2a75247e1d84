from dataclasses import FrozenInstanceError

import pytest

from epochly.errors import ConfigurationError
from epochly.inference.config import (
    BatchingConfig,
    CacheSettings,
    CompilationConfig,
    InferenceConfig,
    PrivacyConfig,
)

DOCUMENTED = {
    "enabled": True,
    "max_level": 2,
    "frameworks": ["pytorch", "transformers", "onnxruntime"],
    "batching": {
        "enabled": True,
        "max_batch_size": 0,
        "max_queue_depth": 1024,
        "max_wait_ms": 50.0,
        "target_latency_ms": 100.0,
        "gpu_headroom_pct": 20,
    },
    "compilation": {
        "enabled": True,
        "backend": "auto",
        "cache_dir": "~/.epochly/inference_cache",
        "warmup_requests": 3,
        "tolerance": 1e-5,
    },
    "cache": {
        "enabled": True,
        "l1_size": 10000,
        "ttl_seconds": 86400,
        "privacy_mode": "ephemeral",
        "redis_url": "",
    },
    "privacy": {
        "mode": "ephemeral",
        "encrypt_at_rest": True,
        "encryption_key_source": "env",
        "redact_patterns": [],
        "cache_tenant_isolation": True,
        "audit_log_enabled": True,
        "audit_log_path": "~/.epochly/audit/",
    },
}


def test_defaults_are_the_documented_ones():
    assert InferenceConfig().to_dict() == DOCUMENTED
    assert InferenceConfig.from_dict({}) == InferenceConfig()
    assert InferenceConfig.from_env({}) == InferenceConfig()


def test_parts_take_what_they_are_given():
    assert BatchingConfig(max_wait_ms=5.0).max_wait_ms == 5.0
    assert CompilationConfig(backend="inductor").backend == "inductor"
    assert CacheSettings(l1_size=7).l1_size == 7


def test_the_process_s_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setenv("EPOCHLY_INFERENCE_MAX_LEVEL", "1")

    assert InferenceConfig.from_env().max_level == 1
    assert InferenceConfig().max_level == 2


def test_a_dictionary_decides_what_it_names():
    config = InferenceConfig.from_dict(
        {"max_level": 4, "frameworks": ["pytorch"], "batching": {"max_wait_ms": 5}}
    )

    assert (config.max_level, config.frameworks) == (4, ["pytorch"])
    assert config.batching == BatchingConfig(max_wait_ms=5.0)
    assert config.compilation == CompilationConfig()


def test_the_environment_decides_what_it_names():
    config = InferenceConfig.from_env(
        {
            "EPOCHLY_INFERENCE_ENABLED": "off",
            "EPOCHLY_INFERENCE_FRAMEWORKS": "pytorch,onnxruntime",
            "EPOCHLY_INFERENCE_BATCHING_MAX_WAIT_MS": "2.5",
            "EPOCHLY_INFERENCE_COMPILATION_BACKEND": "inductor",
            "EPOCHLY_INFERENCE_CACHE_L1_SIZE": "7",
            "EPOCHLY_INFERENCE_PRIVACY_REDACT_PATTERNS": r'["\\d{3,4}"]',
            "EPOCHLY_INFERENCE_CACHE_REDIS_URL": "",
            "EPOCHLY_TENANT_ID": "none of ours",
        }
    )

    assert not config.enabled
    assert config.frameworks == ["pytorch", "onnxruntime"]
    assert config.batching.max_wait_ms == 2.5
    assert config.compilation.backend == "inductor"
    assert config.cache.l1_size == 7
    assert config.privacy.redact_patterns == [r"\d{3,4}"]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"max_levl": 1}, "^unknown setting 'max_levl'; did you mean 'max_level'"),
        ({"batchin": {}}, "^unknown setting 'batchin'; did you mean 'batching'"),
        ({"cache": {"l1size": 1}}, "^unknown setting 'cache.l1size'; did you mean 'cache.l1_size'"),
        # The nearest name of the same table, although `batching.enabled` is as near.
        ({"cache": {"enable": 1}}, "^unknown setting 'cache.enable'; did you mean 'cache.enabled'"),
        ({"qqq": 1}, "^unknown setting 'qqq'$"),
        ({1: 1}, "^unknown setting '1'$"),
        ({"max_level": 5}, "^max_level must be an integer from 0 to 4; got 5$"),
        ({"batching": {"gpu_headroom_pct": 100}}, "^batching.gpu_headroom_pct must .* 0 to 99;"),
        ({"batching": {"max_queue_depth": 0}}, "^batching.max_queue_depth .* at least 1; got 0$"),
        ({"compilation": {"tolerance": -1}}, "^compilation.tolerance must be .* 0; got -1$"),
        ({"compilation": {"backend": "tvm"}}, "'auto', 'inductor' or 'cudagraphs'; got 'tvm'$"),
        ({"frameworks": ["jax"]}, r"^frameworks must be a list of 'pytorch', .*; got \['jax'\]$"),
        ({"batching": 3}, "^batching must be a dictionary; got 3$"),
        ([], r"^the configuration must be a dictionary; got \[\]$"),
    ],
)
def test_a_dictionary_that_makes_no_sense_is_refused(data, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        InferenceConfig.from_dict(data)


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        (
            "MAX_LEVELS",
            "1",
            "^unknown variable EPOCHLY_INFERENCE_MAX_LEVELS; did you mean EPOCHLY_",
        ),
        ("MAX_LEVEL", "x", "^EPOCHLY_INFERENCE_MAX_LEVEL must be an integer from 0 to 4; got 'x'$"),
        ("PRIVACY_REDACT_PATTERNS", "a", "^EPOCHLY_.*_PATTERNS must be .* JSON array; got 'a'$"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(variable, text, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        InferenceConfig.from_env({f"EPOCHLY_INFERENCE_{variable}": text})


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: InferenceConfig(max_level=5), "^InferenceConfig.max_level must be an integer"),
        (lambda: InferenceConfig(batching={}), "batching must be a BatchingConfig; got a dict$"),
        (lambda: InferenceConfig(cache={}), "cache must be a CacheSettings; got a dict$"),
        (lambda: BatchingConfig(max_wait_ms=-1), "^BatchingConfig.max_wait_ms must be a number"),
        (
            lambda: CompilationConfig(tolerance=True),
            "^CompilationConfig.tolerance must be a number",
        ),
        (lambda: CacheSettings(privacy_mode="x"), "^CacheSettings.privacy_mode must be 'ephem"),
        (lambda: PrivacyConfig(redact_patterns="a"), "^PrivacyConfig.redact_patterns must be a"),
    ],
)
def test_a_constructor_refuses_the_same(make, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        make()


def test_a_configuration_cannot_be_changed_from_outside():
    frameworks = ["pytorch"]
    config = InferenceConfig(frameworks=frameworks)

    frameworks.append("jax")
    with pytest.raises(FrozenInstanceError):
        config.max_level = 3

    assert config.frameworks == ["pytorch"]
    assert InferenceConfig().frameworks is not InferenceConfig().frameworks


class TestPrivacyMode:
    """`cache.privacy_mode` and `privacy.mode` are one setting."""

    def modes(self, config: InferenceConfig) -> tuple[str, str]:
        return config.cache.privacy_mode, config.privacy.mode

    def test_a_table_that_is_left_out_follows_the_other(self):
        cache = CacheSettings(privacy_mode="hashes_only")
        privacy = PrivacyConfig(mode="persisted_encrypted")

        assert self.modes(InferenceConfig(cache=cache)) == ("hashes_only",) * 2
        assert self.modes(InferenceConfig(privacy=privacy)) == ("persisted_encrypted",) * 2

    def test_a_key_that_is_left_out_follows_the_other(self):
        config = InferenceConfig.from_dict(
            {"cache": {"l1_size": 1}, "privacy": {"mode": "hashes_only"}}
        )
        mirrored = InferenceConfig.from_dict(
            {"cache": {"privacy_mode": "hashes_only"}, "privacy": {"audit_log_enabled": False}}
        )

        assert self.modes(config) == ("hashes_only",) * 2
        assert self.modes(mirrored) == ("hashes_only",) * 2
        assert config.cache.l1_size == 1
        assert not mirrored.privacy.audit_log_enabled

    def test_two_answers_are_refused(self):
        complaint = "cache.privacy_mode is 'hashes_only' and privacy.mode is 'ephemeral'; they are"

        with pytest.raises(ConfigurationError, match=complaint):
            InferenceConfig(
                cache=CacheSettings(privacy_mode="hashes_only"), privacy=PrivacyConfig()
            )
        with pytest.raises(ConfigurationError, match=complaint):
            InferenceConfig.from_dict(
                {"cache": {"privacy_mode": "hashes_only"}, "privacy": {"mode": "ephemeral"}}
            )


def test_content_is_never_persisted_in_the_clear():
    with pytest.raises(ConfigurationError, match="contradicts encrypt_at_rest=False"):
        PrivacyConfig(mode="persisted_encrypted", encrypt_at_rest=False)

    assert not PrivacyConfig(mode="hashes_only", encrypt_at_rest=False).encrypt_at_rest


def test_an_audit_log_needs_a_folder():
    with pytest.raises(ConfigurationError, match="audit_log_enabled needs an audit_log_path"):
        PrivacyConfig(audit_log_path="")

    assert PrivacyConfig(audit_log_path="", audit_log_enabled=False).audit_log_path == ""
