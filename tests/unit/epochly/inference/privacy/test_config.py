import pytest

from epochly.errors import ConfigurationError
from epochly.inference import PrivacyConfig


def test_the_documented_defaults():
    config = PrivacyConfig()

    assert vars(config) == {
        "mode": "ephemeral",
        "encrypt_at_rest": True,
        "encryption_key_source": "env",
        "redact_patterns": [],
        "cache_tenant_isolation": True,
        "audit_log_enabled": True,
        "audit_log_path": "~/.epochly/audit/",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "hash_only"}, "hashes_only"),
        ({"encryption_key_source": "vault"}, "env"),
        ({"redact_patterns": "abc"}, "redact_patterns"),
        ({"mode": "persisted_encrypted", "encrypt_at_rest": False}, "encrypt_at_rest"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        PrivacyConfig(**settings)
