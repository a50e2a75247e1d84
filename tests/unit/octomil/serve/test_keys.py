"""Which key stands for which tenant."""

import pytest

from octomil.errors import ConfigurationError
from octomil.serve.keys import ClientKeys


@pytest.mark.parametrize(
    ("text", "key", "tenant"),
    [
        ("secret", "secret", "default"),
        ("ann=secret", "secret", "ann"),
        ("team-1.eu=a=b", "a=b", "team-1.eu"),
        ("ann==x", "=x", "ann"),
        ("c2VjcmV0=", "c2VjcmV0=", "default"),
        ("c2VjcmV0==", "c2VjcmV0==", "default"),
        ("=secret", "=secret", "default"),
        ("no tenant=secret", "no tenant=secret", "default"),
        ("ann=schlüssel", "schlüssel", "ann"),
    ],
)
def test_key_may_name_its_tenant(text, key, tenant):
    keys = ClientKeys.parse([text])

    assert keys.tenant_of(f"Bearer {key}".encode()) == tenant
    assert keys.tenant_of(f"bearer   {key} ".encode()) == tenant


@pytest.mark.parametrize(
    "header", [b"", b"Bearer", b"Bearer ", b"Bearer secre", b"Bearer secrets", b"Basic secret"]
)
def test_anything_else_is_nobody_s(header):
    assert ClientKeys.parse(["secret", "ann=other"]).tenant_of(header) is None


def test_tenant_may_have_several_keys():
    keys = ClientKeys.parse(["ann=old", "ann=new", "bob=third"])

    assert [keys.tenant_of(b"Bearer " + key) for key in (b"old", b"new", b"third")] == [
        *("ann", "ann", "bob"),
    ]


def test_no_keys_are_none():
    assert not ClientKeys.parse([])
    assert ClientKeys.parse(["secret"])


@pytest.mark.parametrize("texts", [[""], [" "], ["secret "], ["ann= secret"]])
def test_empty_key_is_refused(texts):
    with pytest.raises(ConfigurationError, match="is empty or has space around it"):
        ClientKeys.parse(texts)


def test_key_of_two_tenants_is_refused():
    with pytest.raises(ConfigurationError, match="'ann' and 'bob' have the same key"):
        ClientKeys.parse(["ann=secret", "bob=secret"])
