"""What every store promises, checked on SQLite and on a real Postgres server."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from octomil.control.ports import AuditError
from octomil.control.records import (
    EMPTY_PROFILE,
    Act,
    ApiKey,
    Device,
    KeptAnswer,
    Organisation,
    Profile,
    RequestKey,
    SigningSecret,
    TokenFamily,
)
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore, metadata
from octomil.errors import DataFolderError

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ONCE = RequestKey(caller="key:k", text="once")
ACT = Act(actor="key:k", operation="device.register", target="dev_1", details={"n": 1})


def device(number: int = 1, organisation: str = "acme", **changes) -> Device:
    made = Device(
        id=f"dev_{organisation}_{number}",
        organisation=organisation,
        identifier=f"hospital-{number}",
        profile=EMPTY_PROFILE,
        generation=0,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes)


def family(**changes) -> TokenFamily:
    made = TokenFamily(
        id="f" * 32,
        organisation="acme",
        device_id="dev_acme_1",
        scopes=("devices:write",),
        access_ttl_s=3600,
        current_hash=b"1" * 32,
        previous_hash=None,
        created_at=NOW,
        rotated_at=NOW,
        expires_at=NOW + timedelta(days=90),
    )
    return replace(made, **changes)


def rotated(tx, read: TokenFamily, secret_hash: bytes, at: datetime = NOW) -> bool:
    end = at + timedelta(days=90)
    return tx.token_families.rotate(
        read,
        secret_hash,
        rotations=read.rotations + 1,
        previous_hash=read.current_hash,
        rotated_at=at,
        expires_at=end,
    )


def test_what_is_committed_is_read_back_as_it_was(store: SqlStore):
    profile = Profile(
        platform="linux",
        metadata={"ward": "Ä\u0000\ud800", "beds": 12, "nested": [None, 1.5, {"z": 1, "a": 2}]},
        capabilities={"training": True},
        feature_schema={"age": "float"},
    )
    added = device(profile=profile, last_seen_at=NOW)

    with store.transaction("acme") as tx:
        assert tx.devices.add(added)

    with store.snapshot("acme") as tx:
        assert tx.devices.get(added.id) == added
        assert tx.devices.find(added.identifier) == added
        assert list(tx.devices.get(added.id).profile.metadata["nested"][2]) == ["z", "a"]


def test_an_exception_undoes_the_whole_unit_of_work(store: SqlStore):
    def work() -> None:
        with store.transaction("acme") as tx:
            tx.devices.add(device())
            tx.audit.append(ACT, NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()

    with store.snapshot("acme") as tx:
        assert tx.devices.find("hospital-1") is None
        assert tx.audit.verify() == 0


def test_no_repository_reaches_into_another_organisation(store: SqlStore):
    key = ApiKey(
        id="key_1", organisation="acme", name="ci", hash=b"h" * 32, scopes=("*",), created_at=NOW
    )
    kept = KeptAnswer(request_digest=b"d" * 32, status=200, body=b"{}")
    with store.transaction("acme") as tx:
        tx.devices.add(device())
        tx.api_keys.add(key)
        tx.token_families.add(family())
        tx.idempotency_keys.claim(ONCE, kept.request_digest, NOW)
        tx.idempotency_keys.keep(ONCE, kept.status, kept.body)
        tx.audit.append(ACT, NOW)

    with store.transaction("globex") as tx:
        assert tx.devices.get("dev_acme_1") is None
        assert tx.devices.find("hospital-1") is None
        tx.devices.update_profile("dev_acme_1", replace(EMPTY_PROFILE, platform="x"), NOW)
        with pytest.raises(LookupError):
            tx.devices.revoke_tokens("dev_acme_1", NOW)
        assert tx.api_keys.list() == []
        assert not tx.api_keys.revoke(key.id, NOW)
        assert not rotated(tx, family(), b"2" * 32)
        assert not tx.token_families.revoke(family().id, "theft", NOW)
        assert tx.idempotency_keys.find(ONCE) is None
        tx.idempotency_keys.keep(ONCE, 500, b"theirs")
        assert list(tx.audit.entries()) == []

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_acme_1") == device()
        assert tx.api_keys.list() == [key]
        assert tx.idempotency_keys.find(ONCE) == kept
        assert tx.audit.verify() == 1
    with store.system_snapshot() as tx:
        assert tx.token_family(family().id) == family()


def test_a_row_belongs_to_the_transactions_organisation_whatever_it_says(store: SqlStore):
    with store.transaction("globex") as tx:
        assert tx.devices.add(device(organisation="acme"))
        assert tx.devices.get("dev_acme_1").organisation == "globex"


def test_an_identifier_is_taken_once_in_its_organisation_alone(store: SqlStore):
    with store.transaction("acme") as tx:
        assert tx.devices.add(device())
        assert not tx.devices.add(device(id="dev_other", profile=Profile(
            platform="x", metadata={}, capabilities={}
        )))  # fmt: skip
        assert tx.devices.find("hospital-1") == device()
    with store.transaction("globex") as tx:
        assert tx.devices.add(device(organisation="globex"))


def test_of_many_that_add_the_same_device_at_once_one_does(store: SqlStore):
    barrier = threading.Barrier(8)

    def add(number: int) -> bool:
        barrier.wait()
        with store.transaction("acme") as tx:
            added = tx.devices.add(device(id=f"dev_{number}"))
            tx.audit.append(ACT, NOW)
            return added

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(add, range(8))) == [False] * 7 + [True]

    with store.snapshot("acme") as tx:
        assert tx.audit.verify() == 8


def test_a_profile_is_replaced_and_the_rest_stays(store: SqlStore):
    later = NOW + timedelta(hours=1)
    profile = replace(EMPTY_PROFILE, sdk_version="4.1.2")
    with store.transaction("acme") as tx:
        tx.devices.add(device())
        tx.devices.add(device(2))
        tx.devices.update_profile("dev_acme_1", profile, later)

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_acme_1") == device(profile=profile, updated_at=later)
        assert tx.devices.get("dev_acme_2") == device(2)


def test_revocations_are_told_from_a_moment_on(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.devices.add(device())
        tx.devices.add(device(2))
        tx.devices.revoke_tokens("dev_acme_2", NOW)
        assert tx.devices.revoke_tokens("dev_acme_2", NOW).generation == 2

    with store.system_snapshot() as tx:
        (told,) = tx.revocations(NOW)
        assert (told.device_id, told.generation) == ("dev_acme_2", 2)
        assert tx.revocations(NOW + timedelta(microseconds=1)) == []


def test_a_sighting_never_goes_back_in_time(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.devices.add(device())
        tx.devices.add(device(2))
    for moment in (NOW, NOW - timedelta(seconds=1)):
        with store.system() as tx:
            tx.note_last_seen([("dev_acme_1", moment), ("dev_nobody", moment)])

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_acme_1").last_seen_at == NOW
        assert tx.devices.get("dev_acme_2").last_seen_at is None


def test_transactions_in_a_group_see_those_before_them_and_nobody_else_does(store: SqlStore):
    with ThreadPoolExecutor(1) as elsewhere, store.group():
        with store.transaction("acme") as tx:
            tx.devices.add(device())
        with store.snapshot("acme") as tx:
            assert tx.devices.get("dev_acme_1") == device()

        assert elsewhere.submit(seen, store).result() is None

    assert seen(store) == device()


def test_one_of_a_group_is_undone_by_itself(store: SqlStore):
    def fail() -> None:
        with store.transaction("acme") as tx:
            tx.devices.add(device(2))
            tx.audit.append(ACT, NOW)
            raise ZeroDivisionError

    with store.group():
        with store.transaction("acme") as tx:
            tx.devices.add(device())
            tx.audit.append(ACT, NOW)
        with pytest.raises(ZeroDivisionError):
            fail()

    assert seen(store) == device()
    assert seen(store, 2) is None
    with store.snapshot("acme") as tx:
        assert tx.audit.verify() == 1


def test_a_group_that_fails_leaves_nothing(store: SqlStore):
    def fail() -> None:
        with store.group():
            with store.transaction("acme") as tx:
                tx.devices.add(device())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert seen(store) is None
    with store.transaction("acme") as tx:  # and is over
        tx.devices.add(device())
    assert seen(store) == device()


def seen(store: SqlStore, number: int = 1) -> Device | None:
    """A device, as somebody else finds it."""
    with store.snapshot("acme") as tx:
        return tx.devices.get(f"dev_acme_{number}")


def test_a_refresh_token_is_rotated_once(store: SqlStore):
    later = NOW + timedelta(hours=1)
    with store.transaction("acme") as tx:
        tx.devices.add(device())
        tx.token_families.add(family())
        assert rotated(tx, family(), b"2" * 32, later)
        assert not rotated(tx, family(), b"3" * 32, later)

    with store.system_snapshot() as tx:
        youngest = tx.token_family(family().id)
    assert youngest == family(
        current_hash=b"2" * 32,
        previous_hash=b"1" * 32,
        rotated_at=later,
        rotations=1,
        expires_at=later + timedelta(days=90),
    )

    with store.transaction("acme") as tx:
        assert tx.token_families.revoke(family().id, "lost", later)
        assert not tx.token_families.revoke(family().id, "again", later)
        assert not rotated(tx, youngest, b"4" * 32, later)
    with store.system_snapshot() as tx:
        assert tx.token_family(family().id).revoke_reason == "lost"
        assert tx.token_family("0" * 32) is None


def test_a_key_is_found_by_its_hash_and_revoked_once(store: SqlStore):
    key = ApiKey(
        id="key_1", organisation="acme", name="ci", hash=b"h" * 32, scopes=("a", "b"),
        created_at=NOW, expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    with store.transaction("acme") as tx:
        tx.api_keys.add(key)
    with store.system_snapshot() as tx:
        assert tx.key_of_hash(b"h" * 32) == key
        assert tx.key_of_hash(b"x" * 32) is None

    with store.transaction("acme") as tx:
        assert tx.api_keys.revoke("key_1", NOW)
        assert not tx.api_keys.revoke("key_1", NOW)
        assert [each.revoked_at for each in tx.api_keys.list()] == [NOW]


def test_a_new_signing_secret_retires_those_before_it(store: SqlStore):
    old = SigningSecret(id="a", secret=b"1" * 32, created_at=NOW)
    new = SigningSecret(id="b", secret=b"2" * 32, created_at=NOW + timedelta(days=1))
    with store.system() as tx:
        tx.add_signing_secret(old)
        tx.add_signing_secret(new)

    with store.system_snapshot() as tx:
        assert tx.signing_secrets() == [replace(old, retired_at=new.created_at), new]


def test_organisations_and_settings_are_everybodys(store: SqlStore):
    acme = Organisation(id="acme", name="acme", created_at=NOW)
    with store.system() as tx:
        assert not tx.add_organisation(replace(acme, name="other"))
        tx.put_setting("colour", "red")
        tx.put_setting("colour", "blue")

    with store.system_snapshot() as tx:
        assert tx.organisation("acme") == acme
        assert tx.organisation("nobody") is None
        assert tx.setting("colour") == "blue"
        assert tx.setting("shape") is None


def test_the_audit_tells_what_was_done_in_order(store: SqlStore):
    with store.transaction("acme") as tx:
        for number in range(3):
            tx.audit.append(replace(ACT, details={"n": number}), NOW)

    with store.snapshot("acme") as tx:
        assert [entry["details"] for entry in tx.audit.entries()] == [{"n": n} for n in range(3)]
        assert next(tx.audit.entries()) == {
            "at": "2026-11-21T12:00:00.123456+00:00",
            "actor": "key:k",
            "operation": "device.register",
            "target": "dev_1",
            "details": {"n": 0},
        }
        assert tx.audit.verify() == 3


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE audit SET entry = '{}' WHERE sequence = 2", "record 2 .* was edited"),
        ("DELETE FROM audit WHERE sequence = 2", "record 3"),
        ("DELETE FROM audit WHERE sequence = 3", "ends at record 2"),
    ],
)
def test_damage_to_the_audit_is_found(store: SqlStore, damage: str, complaint: str):
    with store.transaction("acme") as tx:
        for _ in range(3):
            tx.audit.append(ACT, NOW)
    with store.system() as tx:
        tx._connection.execute(text(damage))

    with store.snapshot("acme") as tx, pytest.raises(AuditError, match=complaint):
        tx.audit.verify()


def test_a_snapshot_refuses_to_write(store: SqlStore):
    with pytest.raises(Exception, match=r"(?i)read.?only"), store.snapshot("acme") as tx:
        tx.devices.add(device())

    with store.snapshot("acme") as tx:
        assert tx.devices.get("dev_acme_1") is None


def test_a_snapshot_shows_one_moment(store: SqlStore):
    with store.snapshot("acme") as before:
        assert before.devices.get("dev_acme_1") is None
        with store.transaction("acme") as tx:
            tx.devices.add(device())
        assert before.devices.get("dev_acme_1") is None

    with store.snapshot("acme") as after:
        assert after.devices.get("dev_acme_1") == device()


def test_an_organisation_that_is_not_there_can_own_nothing(store: SqlStore):
    with pytest.raises(Exception, match=r"(?i)foreign key"), store.transaction("nobody") as tx:
        tx.devices.add(device(organisation="nobody"))


def test_the_migrations_make_what_the_code_declares(store: SqlStore):
    with store.system() as tx:
        context = MigrationContext.configure(tx._connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_a_database_of_a_newer_version_is_refused(url: str):
    store = open_store(url)
    with store.system() as tx:
        tx._connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()

    with pytest.raises(DataFolderError, match="9999"):
        open_store(url)


def test_of_many_that_open_an_empty_database_at_once_all_find_it_whole(url: str):
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(open_store, [url] * 4))

    for store in stores:
        with store.system_snapshot() as tx:
            assert tx.setting("format_version") == "1"
        store.close()
