"""What every store promises about rollouts, checked on SQLite and on a real Postgres server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from octomil.control.records import (
    EMPTY_PROFILE,
    Attestation,
    Device,
    ManifestKey,
    Model,
    Organisation,
    Rollout,
    RolloutStatus,
)
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from support.postgres import fresh_database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "ab" * 32


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    if request.param == "sqlite":
        yield from opened(f"sqlite:///{tmp_path}/octomil.sqlite3")
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield from opened(url)


def opened(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    with store.system() as tx:
        for name in ("acme", "globex"):
            assert tx.add_organisation(Organisation(id=name, name=name, created_at=NOW))
    for owner in ("acme", "globex"):
        with store.transaction(owner) as tx:
            for number in (1, 2):
                assert tx.devices.add(device(number, owner))
    yield store
    store.close()


def device(number: int, owner: str) -> Device:
    return Device(
        id=f"dev_{owner}_{number}", organisation=owner, identifier=f"box-{number}",
        profile=EMPTY_PROFILE, generation=0, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def rollout(number: int = 1, owner: str = "acme", **changes) -> Rollout:
    made = Rollout(
        id=f"rol_{number}", organisation=owner, model_id=f"mdl_{owner}", version_id=f"ver_{number}",
        number=f"{number}.0.0", digest=DIGEST, status=RolloutStatus.PENDING,
        rollout_percentage=100, target_percentage=100, increment_step=12.5, created_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def attestation(number: int, owner: str = "acme", **changes) -> Attestation:
    made = Attestation(
        organisation=owner, device_id=f"dev_{owner}_{number}", model_id=f"mdl_{owner}",
        number="1.0.0", digest=DIGEST, is_active=True, message=None, attested_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def signing_key(owner: str, number: int = 1) -> ManifestKey:
    return ManifestKey(
        id=f"{owner}-{number}", private=bytes(32), public=b"p" * 32, created_at=NOW,
        endorsed_by=None, endorsement=None,
    )  # fmt: skip


def model(owner: str, name: str) -> Model:
    return Model(
        id=f"mdl_{owner}_{name}", organisation=owner, name=name, metadata={}, created_at=NOW,
        updated_at=NOW,
    )  # fmt: skip


def test_what_is_added_is_read_back_as_it_was(store: SqlStore):
    made = rollout()
    with store.transaction("acme") as tx:
        assert tx.rollouts.add(made)

    with store.snapshot("acme") as tx:
        assert tx.rollouts.get("mdl_acme", "rol_1") == made
        assert tx.rollouts.get("mdl_other", "rol_1") is None


def test_no_rollout_is_seen_or_changed_by_another_organisation(store: SqlStore):
    made = rollout()
    with store.transaction("acme") as tx:
        tx.rollouts.add(made)
        tx.attestations.put(attestation(1))

    with store.transaction("globex") as tx:
        assert tx.rollouts.get("mdl_acme", "rol_1") is None
        assert tx.rollouts.list("mdl_acme", None, limit=9) == []
        assert tx.rollouts.of_version("ver_1") == []
        assert tx.rollouts.of_model("mdl_acme") == []
        assert tx.rollouts.offered("mdl_acme") is None
        assert not tx.rollouts.change(made, {"status": RolloutStatus.ACTIVE})
        assert tx.attestations.list("mdl_acme", DIGEST, limit=9) == []
        assert tx.attestations.counts("mdl_acme", {DIGEST}) == {DIGEST: (0, 0)}


def test_of_many_that_begin_one_at_once_one_does(store: SqlStore):
    def add(number: int) -> bool:
        with store.transaction("acme") as tx:
            return tx.rollouts.add(rollout(number))

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(add, range(8)))

    assert sum(added) == 1


def test_a_change_needs_what_was_read(store: SqlStore):
    made = rollout()
    with store.transaction("acme") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.change(made, {"status": RolloutStatus.ACTIVE, "is_offered": True})
        assert not tx.rollouts.change(made, {"status": RolloutStatus.COMPLETED})

    with store.snapshot("acme") as tx:
        found = tx.rollouts.get("mdl_acme", "rol_1")
    assert (found.status, found.revision, found.is_offered) == (RolloutStatus.ACTIVE, 2, True)


def test_a_model_has_one_open_rollout_and_any_number_that_are_over(store: SqlStore):
    with store.transaction("acme") as tx:
        for number in (1, 2, 3):
            made = rollout(number)
            assert tx.rollouts.add(made)
            assert not tx.rollouts.add(rollout(number + 10))
            done = NOW + timedelta(days=number)
            changes = {"status": RolloutStatus.COMPLETED, "completed_at": done}
            assert tx.rollouts.change(made, changes)

    with store.snapshot("acme") as tx:
        assert [each.id for each in tx.rollouts.list("mdl_acme", None, limit=9)] == [
            "rol_3", "rol_2", "rol_1",
        ]  # fmt: skip
        (second,) = tx.rollouts.list("mdl_acme", None, limit=1, offset=1)
        assert second.id == "rol_2"
        assert tx.rollouts.list("mdl_acme", RolloutStatus.ACTIVE, limit=9) == []
        assert tx.rollouts.of_model("mdl_acme") == []
        assert tx.rollouts.last_completed("mdl_acme").id == "rol_3"


def test_a_rollback_returns_to_the_last_completed_but_the_offered(store: SqlStore):
    with store.transaction("acme") as tx:
        for number in (1, 2, 3):
            made = rollout(number, is_offered=number == 3)
            assert tx.rollouts.add(made)
            done = NOW + timedelta(days=number)
            changes = {"status": RolloutStatus.COMPLETED, "completed_at": done}
            assert tx.rollouts.change(made, changes)
        found = tx.rollouts.last_completed("mdl_acme")

    assert found is not None
    assert found.id == "rol_2"
    with store.transaction("globex") as tx:
        assert tx.rollouts.last_completed("mdl_acme") is None


def test_it_tells_the_names_and_keys_of_those_that_offer_something(store: SqlStore):
    keys = {owner: signing_key(owner) for owner in ("acme", "globex")}
    for owner, key in keys.items():
        with store.transaction(owner) as tx:
            assert tx.manifest_keys.add(key)
            for name in ("mnist", "other"):
                tx.models.add(model(owner, name))
    offering = rollout(status=RolloutStatus.ACTIVE, is_offered=True)
    with store.transaction("acme") as tx:
        tx.rollouts.add(replace(offering, model_id="mdl_acme_mnist"))
        following = signing_key("acme", 2)
        assert tx.manifest_keys.retire(keys["acme"].id, NOW)
        assert tx.manifest_keys.add(following)

    with store.system_snapshot() as tx:
        assert tx.offers.names() == {"mdl_acme_mnist": "mnist"}
        assert tx.offers.keys() == {"acme": following}


def test_what_is_deleted_is_shown_no_more_and_still_counts(store: SqlStore):
    made = rollout(status=RolloutStatus.COMPLETED, completed_at=NOW)
    with store.transaction("acme") as tx:
        tx.rollouts.add(made)
        tx.rollouts.change(made, {"deleted_at": NOW})
        assert tx.rollouts.get("mdl_acme", "rol_1") is None
        assert tx.rollouts.last_completed("mdl_acme") is None

    with store.system_snapshot() as tx:
        assert tx.offers.versions() == {"acme": 2}
        assert tx.offers.all() == []


def test_it_is_lacking_until_every_device_of_its_organisation_runs_it(store: SqlStore):
    made = rollout(status=RolloutStatus.ACTIVE, is_offered=True)
    with store.transaction("acme") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.first_lacking(made) == attestation(1).device_id
        tx.attestations.put(attestation(1))
        tx.attestations.put(attestation(2, is_active=False, message="no space"))
        assert tx.rollouts.first_lacking(made) == attestation(2).device_id
        assert tx.rollouts.first_lacking(made, attestation(2).device_id + "x") is None
        assert tx.attestations.counts("mdl_acme", {DIGEST, "0" * 64}) == {
            DIGEST: (1, 1),
            "0" * 64: (0, 0),
        }
        assert tx.attestations.counts("mdl_acme", ()) == {}
        tx.attestations.put(attestation(2))
        assert tx.rollouts.first_lacking(made) is None
        assert tx.attestations.list("mdl_acme", DIGEST, limit=1, offset=1) == [attestation(2)]

    with store.system_snapshot() as tx:
        assert [each.id for each in tx.offers.all()] == ["rol_1"]
        assert [each.id for each in tx.offers.active()] == ["rol_1"]


def test_devices_of_others_lack_nothing(store: SqlStore):
    with store.system() as tx:
        tx.add_organisation(Organisation(id="empty", name="empty", created_at=NOW))
    made = rollout(owner="empty")
    with store.transaction("empty") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.first_lacking(made) is None
