"""No two pairs of tenant and key give the same cache key."""

from hypothesis import example, given
from hypothesis import strategies as st

from epochly.inference import TenantIsolation

# Few signs, among them those that matter, so that near misses are common.
texts = st.text(st.sampled_from("ab:%3A*\\\n\ud800é"), max_size=6)
tenants = texts.filter(bool)


@given(tenants, texts, tenants, texts)
@example("a", "b:c", "a:b", "c")
@example("a:b", "c", "a%3Ab", "c")
def test_distinct_pairs_never_collide(tenant: str, key: str, other_tenant: str, other_key: str):
    one = TenantIsolation(tenant).namespace_key(key)
    other = TenantIsolation(other_tenant).namespace_key(other_key)

    assert (one == other) == ((tenant, key) == (other_tenant, other_key))


@given(tenants, tenants, texts)
def test_a_prefix_holds_its_own_tenant_only(tenant: str, other: str, key: str):
    mine = TenantIsolation(tenant)

    assert mine.namespace_key(key).startswith(mine.prefix)
    assert TenantIsolation(other).namespace_key(key).startswith(mine.prefix) == (tenant == other)
