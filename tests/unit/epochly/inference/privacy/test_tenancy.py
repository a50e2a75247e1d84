import pytest

from epochly.errors import ConfigurationError
from epochly.inference import TenantIsolation


@pytest.mark.parametrize("tenant", ["acme", "a b", "Ünïcode-1_2.3", "a/b@c"])
def test_an_ordinary_id_gives_the_documented_key(tenant: str):
    isolation = TenantIsolation(tenant)

    assert isolation.namespace_key("k:1") == f"{tenant}:k:1"
    assert isolation.tenant_id == tenant
    assert isolation.prefix == f"{tenant}:"


@pytest.mark.parametrize(
    ("tenant", "prefix"),
    [
        ("a:b", "a%3Ab:"),
        ("a%3Ab", "a%253Ab:"),
        ("*", "%2A:"),
        ("a\n", "a%0A:"),
        ("\ud800", "%ED%A0%80:"),
    ],
)
def test_a_hostile_id_is_encoded_and_kept_as_given(tenant: str, prefix: str):
    isolation = TenantIsolation(tenant)

    assert isolation.namespace_key("k") == f"{prefix}k"
    assert isolation.tenant_id == tenant


def test_the_default_tenant():
    assert TenantIsolation().namespace_key("k") == "default:k"
    assert repr(TenantIsolation()) == "TenantIsolation('default')"


@pytest.mark.parametrize("tenant", ["", None, 7])
def test_what_is_no_id_is_refused(tenant: object):
    with pytest.raises(ConfigurationError, match="tenant_id"):
        TenantIsolation(tenant)


def test_the_tenant_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EPOCHLY_TENANT_ID", "acme")
    assert TenantIsolation.from_env().tenant_id == "acme"

    monkeypatch.delenv("EPOCHLY_TENANT_ID")
    assert TenantIsolation.from_env().tenant_id == "default"
    assert TenantIsolation.from_env({"EPOCHLY_TENANT_ID": ""}).tenant_id == "default"
