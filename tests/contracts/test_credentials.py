"""What every store promises about keys, bootstrap tokens and removed devices, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from octomil.control.records import (
    EMPTY_PROFILE,
    Act,
    ApiKey,
    BootstrapToken,
    Device,
    DeviceFilter,
    TokenFamily,
)
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from octomil.errors import DataFolderError

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = ApiKey(
    id="key_1", organisation="acme", name="ci", hash=b"h" * 32, prefix="edg_abc", scopes=("a",),
    created_at=NOW,
)  # fmt: skip
TOKEN = BootstrapToken(
    id="obt_1", organisation="acme", name="line", hash=b"t" * 32, prefix="obt_abc",
    device_scopes=("devices:write",), labels={"ward": "Ä"}, groups=("a", "b"), created_at=NOW,
    expires_at=LATER, max_uses=2,
)  # fmt: skip
DEVICE = Device(
    id="dev_1", organisation="acme", identifier="box-1", profile=EMPTY_PROFILE, generation=0,
    created_at=NOW, updated_at=NOW, labels={"site": "a"}, groups=("beta",),
)  # fmt: skip


def test_a_key_is_replaced_once(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.api_keys.add(KEY)
        assert tx.api_keys.replace(KEY.id, "key_2", LATER)
        assert not tx.api_keys.replace(KEY.id, "key_3", LATER)
        assert tx.api_keys.get(KEY.id) == replace(KEY, replaced_by="key_2", expires_at=LATER)
        assert tx.api_keys.get("key_9") is None


def test_a_key_s_last_use_never_goes_back_in_time(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.api_keys.add(KEY)
    for moment in (LATER, NOW):
        with store.system() as tx:
            tx.note_key_uses([(KEY.id, moment), ("key_nobody", moment)])

    with store.system_snapshot() as tx:
        assert tx.key_of_hash(KEY.hash) == replace(KEY, last_used_at=LATER)


def test_of_many_uses_at_once_as_many_count_as_may(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.bootstrap_tokens.add(TOKEN)
    barrier = threading.Barrier(6)

    def use(_: int) -> bool:
        barrier.wait()
        with store.transaction("acme") as tx:
            return tx.bootstrap_tokens.use(TOKEN.id, NOW) is not None

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(use, range(6))) == [False] * 4 + [True] * 2
    with store.system_snapshot() as tx:
        assert tx.bootstrap_token_of_hash(TOKEN.hash) == replace(TOKEN, uses=2)
        assert tx.bootstrap_token_of_hash(b"x" * 32) is None


def test_a_bootstrap_token_ends_at_its_moment_and_by_hand(store: SqlStore):
    endless = replace(TOKEN, id="obt_2", hash=b"u" * 32, max_uses=None)
    with store.transaction("acme") as tx:
        tx.bootstrap_tokens.add(TOKEN)
        tx.bootstrap_tokens.add(endless)
        assert tx.bootstrap_tokens.use(TOKEN.id, LATER) is None
        assert tx.bootstrap_tokens.use("obt_2", NOW) == replace(endless, uses=1)
        assert tx.bootstrap_tokens.revoke("obt_2", NOW)
        assert not tx.bootstrap_tokens.revoke("obt_2", NOW)
        assert tx.bootstrap_tokens.use("obt_2", NOW) is None
        assert [token.id for token in tx.bootstrap_tokens.list()] == ["obt_1", "obt_2"]


def test_a_device_s_families_tell_where_they_began_and_end_together(store: SqlStore):
    def family(name: str, bootstrap_id: str | None, **changes: object) -> TokenFamily:
        made = TokenFamily(
            id=name * 32, organisation="acme", device_id="dev_1", scopes=(), access_ttl_s=60,
            current_hash=b"1", previous_hash=None, created_at=NOW, rotated_at=NOW,
            expires_at=LATER, bootstrap_id=bootstrap_id,
        )  # fmt: skip
        return replace(made, **changes)

    with store.transaction("acme") as tx:
        tx.devices.add(DEVICE)
        for each in (family("a", None), family("b", "obt_1"), family("c", "obt_2", expires_at=NOW)):
            tx.token_families.add(each)
        assert tx.token_families.origins("dev_1", NOW) == {None, "obt_1"}
        assert tx.token_families.origins("dev_2", NOW) == set()
        assert tx.token_families.revoke_all("dev_1", "lost", NOW) == 3
        assert tx.token_families.revoke_all("dev_1", "lost", NOW) == 0
        assert tx.token_families.origins("dev_1", NOW) == set()
        assert tx.token_families.ended("dev_1", "lost") == {None, "obt_1", "obt_2"}
        assert tx.token_families.ended("dev_1", "reuse") == set()
        assert tx.token_families.ended("dev_2", "lost") == set()


def test_a_removed_device_is_not_there_until_it_is_restored(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.devices.add(DEVICE)
        revocation = tx.devices.remove("dev_1", NOW)
        assert (revocation.device_id, revocation.generation) == ("dev_1", 1)
        assert tx.devices.remove("dev_1", NOW) is None
        assert tx.devices.get("dev_1") is tx.devices.find("box-1") is None
        assert tx.devices.page(DeviceFilter(), None, 9) == []
        assert tx.devices.page(DeviceFilter(group="beta"), None, 9) == []
        assert not tx.devices.add(replace(DEVICE, id="dev_2"))
        with pytest.raises(LookupError):
            tx.devices.revoke_tokens("dev_1", NOW)
    with store.system_snapshot() as tx:
        assert [each.device_id for each in tx.revocations(NOW)] == ["dev_1"]

    with store.transaction("acme") as tx:
        assert tx.devices.restore("box-9", EMPTY_PROFILE, LATER) is None
        restored = tx.devices.restore("box-1", EMPTY_PROFILE, LATER)
        assert restored == replace(
            DEVICE, generation=1, created_at=LATER, updated_at=LATER, labels={}, groups=()
        )
        assert tx.devices.restore("box-1", EMPTY_PROFILE, LATER) is None


def test_tags_are_replaced_and_found_by(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.devices.add(DEVICE)
        tx.devices.tag("dev_1", {"site": "b", "tier": "1"}, ("gamma",), LATER)
        tx.devices.tag("dev_nobody", {"site": "b"}, (), LATER)
        device = tx.devices.get("dev_1")

        def found(**wanted) -> bool:
            return tx.devices.page(DeviceFilter(**wanted), None, 9) == [device]

        assert (device.labels, device.groups) == ({"site": "b", "tier": "1"}, ("gamma",))
        assert found(labels={"site": "b"}, group="gamma")
        assert not found(labels={"site": "a"})
        assert not found(group="beta")
        assert not found(labels={"group:gamma": ""})


def test_none_of_it_reaches_into_another_organisation(store: SqlStore):
    act = Act(actor="key:k", operation="x", target="y", details={})
    with store.transaction("acme") as tx:
        tx.devices.add(DEVICE)
        tx.api_keys.add(KEY)
        tx.bootstrap_tokens.add(TOKEN)
        tx.audit.append(act, NOW)

    with store.transaction("globex") as tx:
        tx.devices.tag("dev_1", {}, (), NOW)
        assert tx.devices.remove("dev_1", NOW) is None
        assert tx.devices.restore("box-1", EMPTY_PROFILE, NOW) is None
        for wanted in (DeviceFilter(), DeviceFilter(group="beta"), DeviceFilter(text="box")):
            assert tx.devices.page(wanted, None, 9) == []
        assert tx.api_keys.get(KEY.id) is None
        assert not tx.api_keys.replace(KEY.id, "key_2", NOW)
        assert tx.bootstrap_tokens.get(TOKEN.id) is None
        assert tx.bootstrap_tokens.use(TOKEN.id, NOW) is None
        assert not tx.bootstrap_tokens.revoke(TOKEN.id, NOW)
        assert tx.bootstrap_tokens.list() == []
        assert tx.audit.page(None, 9) == []

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_1") == DEVICE
        assert tx.api_keys.get(KEY.id) == KEY
        assert tx.bootstrap_tokens.get(TOKEN.id) == TOKEN


def test_acts_come_page_by_page_the_latest_first(store: SqlStore):
    with store.transaction("acme") as tx:
        for number in range(5):
            tx.audit.append(Act(actor="a", operation="x", target=str(number), details={}), NOW)
        latest = tx.audit.page(None, 2)
        rest = tx.audit.page(latest[-1].sequence, 9)

    assert [noted.sequence for noted in latest + rest] == [5, 4, 3, 2, 1]
    assert [noted.entry["target"] for noted in rest] == ["2", "1", "0"]


def test_organisations_come_page_by_page(store: SqlStore):
    with store.system_snapshot() as tx:
        assert [each.id for each in tx.organisations()] == ["acme", "globex"]
        assert [each.id for each in tx.organisations(limit=1)] == ["acme"]
        assert [each.id for each in tx.organisations("acme")] == ["globex"]


def test_a_group_in_a_group_is_a_part_of_it_that_is_undone_as_a_whole(store: SqlStore):
    def fail() -> None:
        with store.group():
            with store.transaction("acme") as tx:
                tx.api_keys.add(KEY)
            raise ZeroDivisionError

    with store.group():
        with store.transaction("acme") as tx:
            tx.bootstrap_tokens.add(TOKEN)
        with pytest.raises(ZeroDivisionError):
            fail()
        with store.group(), store.transaction("acme") as tx:
            tx.devices.add(DEVICE)

    with store.snapshot("acme") as tx:
        assert tx.api_keys.get(KEY.id) is None
        assert tx.bootstrap_tokens.get(TOKEN.id) == TOKEN
        assert tx.devices.get("dev_1") == DEVICE


def test_a_database_is_opened_as_it_is_or_not_at_all(url: str):
    with pytest.raises(DataFolderError, match="start `octomil up`"):
        open_store(url, upgrade=False)
    open_store(url).close()

    store = open_store(url, upgrade=False)
    with store.system_snapshot() as tx:
        assert tx.setting("format_version") == "1"
    store.close()
