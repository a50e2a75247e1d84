"""Uploads and kept files in the store, on SQLite and on a real Postgres server."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from octomil.control.records import Blob, Model, Organisation, Upload, Version, VersionFile
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from octomil.registry.lifecycle import VersionState
from support.postgres import fresh_database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = NOW + 2 * DAY
BLOB = Blob(digest="a" * 64, size_bytes=7, format="pytorch", unknown_imports=("__main__.Net",))
UPLOAD = Upload(
    id="upl_1", organisation="acme", name="m.pt", size_bytes=7, created_at=NOW, expires_at=NOW + DAY
)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    if request.param == "sqlite":
        yield from with_organisations(f"sqlite:///{tmp_path}/octomil.sqlite3")
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield from with_organisations(url)


def with_organisations(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    with store.system() as tx:
        for name in ("acme", "globex"):
            assert tx.add_organisation(Organisation(id=name, name=name, created_at=NOW))
    yield store
    store.close()


def enter(store: SqlStore, blob: Blob = BLOB, now: datetime = NOW) -> bool:
    with store.system() as tx:
        return tx.blob_ledger.enter(blob, now)


def condemn(store: SqlStore, now: datetime = LATER) -> list[str]:
    with store.system() as tx:
        return [each.digest for each in tx.blob_ledger.condemn(now - DAY, now, 100)]


def refer(store: SqlStore, digest: str, organisation: str = "acme") -> None:
    """A version with a file."""
    with store.transaction(organisation) as tx:
        model = Model(id=f"mod_{organisation}", organisation=organisation, name="m", metadata={},
                      created_at=NOW, updated_at=NOW)  # fmt: skip
        tx.models.add(model)
        version = Version(id=f"ver_{organisation}", organisation=organisation, model_id=model.id,
                          number="1.0.0", state=VersionState.READY, metrics={}, created_at=NOW,
                          updated_at=NOW)  # fmt: skip
        tx.versions.add(version)
        file = VersionFile(format="pytorch", digest=digest, size_bytes=7, origin="original",
                           name="m.pt", created_at=NOW)  # fmt: skip
        assert tx.versions.add_file(version.id, file)


def test_an_upload_is_its_organisations_own(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.uploads.add(UPLOAD)
        assert tx.uploads.get("upl_1") == tx.uploads.hold("upl_1") == UPLOAD
        assert tx.uploads.get("upl_2") is None
    with store.transaction("globex") as tx:
        assert tx.uploads.get("upl_1") is None
        assert not tx.uploads.delete("upl_1")
        tx.uploads.complete("upl_1", BLOB.digest)
        tx.uploads.verify("upl_1", BLOB.digest)
        tx.uploads.renew("upl_1", LATER)
    with store.snapshot("acme") as tx:
        assert tx.uploads.get("upl_1") == UPLOAD


def test_an_upload_takes_its_steps(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.uploads.add(UPLOAD)
        tx.uploads.verify("upl_1", BLOB.digest)
        tx.uploads.complete("upl_1", BLOB.digest)
        tx.uploads.renew("upl_1", LATER)
        expected = replace(UPLOAD, verified=BLOB.digest, digest=BLOB.digest, expires_at=LATER)
        assert tx.uploads.get("upl_1") == expected
        assert tx.uploads.delete("upl_1")
        assert tx.uploads.get("upl_1") is None


def test_uploads_under_way_are_the_organisations_own_oldest_first(store: SqlStore):
    older = replace(UPLOAD, id="upl_2", created_at=NOW - DAY, expires_at=LATER)
    with store.transaction("acme") as tx:
        for upload in (UPLOAD, older, replace(UPLOAD, id="upl_3"), replace(UPLOAD, id="upl_4")):
            tx.uploads.add(upload)
        tx.uploads.complete("upl_3", BLOB.digest)
        tx.uploads.verify("upl_4", BLOB.digest)
    with store.transaction("globex") as tx:
        assert tx.uploads.under_way(NOW) == []
    with store.transaction("acme") as tx:
        found = [each.id for each in tx.uploads.under_way(NOW)]
        assert found == ["upl_2", "upl_1", "upl_4"]
        assert tx.uploads.under_way(NOW + DAY) == [older]
        assert tx.uploads.under_way(LATER) == []


def test_abandoned_uploads_are_listed(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.uploads.add(UPLOAD)
        tx.uploads.add(replace(UPLOAD, id="upl_2", expires_at=LATER))
    with store.system_snapshot() as tx:
        assert tx.blob_ledger.abandoned_uploads(NOW, 10) == []
        assert tx.blob_ledger.abandoned_uploads(NOW + DAY, 10) == [UPLOAD]
        assert len(tx.blob_ledger.abandoned_uploads(LATER, 1)) == 1
        assert tx.blob_ledger.upload_ids() == {"upl_1", "upl_2"}


def test_only_an_abandoned_upload_is_dropped_as_such(store: SqlStore):
    with store.transaction("acme") as tx:
        tx.uploads.add(UPLOAD)
    with store.transaction("globex") as tx:
        assert not tx.uploads.delete_expired("upl_1", LATER)
    with store.transaction("acme") as tx:
        assert not tx.uploads.delete_expired("upl_1", UPLOAD.expires_at - timedelta(seconds=1))
        assert tx.uploads.get("upl_1") == UPLOAD
        assert tx.uploads.delete_expired("upl_1", UPLOAD.expires_at)
        assert tx.uploads.get("upl_1") is None


def test_a_blob_is_seen_by_those_who_refer_to_it(store: SqlStore):
    assert enter(store)
    with store.snapshot("acme") as tx:
        assert tx.blobs.get(BLOB.digest) is None
    refer(store, BLOB.digest)
    with store.transaction("globex") as tx:
        tx.uploads.add(replace(UPLOAD, organisation="globex"))
    with store.snapshot("acme") as acme, store.snapshot("globex") as globex:
        assert acme.blobs.get(BLOB.digest) == BLOB
        assert globex.blobs.get(BLOB.digest) is None
    with store.transaction("globex") as tx:
        tx.uploads.complete("upl_1", BLOB.digest)
        assert tx.blobs.get(BLOB.digest) == BLOB


def test_what_is_learnt_later_about_a_blob_is_noted(store: SqlStore):
    enter(store)
    known = replace(BLOB, safetensors=("b" * 64, 3), not_converted=None)

    assert enter(store, known)

    with store.system_snapshot() as tx:
        assert tx.blob_ledger.get(BLOB.digest) == known
        assert tx.blob_ledger.list("", 10) == [known]
        assert tx.blob_ledger.list(BLOB.digest, 10) == []
        assert tx.blob_ledger.missing() == ["b" * 64]


def test_only_what_nobody_wants_is_condemned(store: SqlStore):
    blobs = [replace(BLOB, digest=letter * 64) for letter in "abcdef"]
    parent = replace(blobs[0], safetensors=(blobs[1].digest, 7))
    for blob in (parent, *blobs[1:]):
        enter(store, blob)
    refer(store, parent.digest)
    with store.transaction("globex") as tx:
        tx.uploads.add(replace(UPLOAD, organisation="globex"))
        tx.uploads.complete("upl_1", blobs[2].digest)
        assert tx.blobs.claim(blobs[3].digest, LATER)

    assert sorted(condemn(store)) == [blobs[4].digest, blobs[5].digest]
    assert condemn(store) == []


def test_what_is_condemned_cannot_be_claimed_until_it_is_forgotten(store: SqlStore):
    enter(store)
    assert condemn(store) == [BLOB.digest]

    assert not enter(store, now=LATER)
    with store.transaction("acme") as tx:
        assert not tx.blobs.claim(BLOB.digest, LATER)
    with store.system() as tx:
        assert tx.blob_ledger.get(BLOB.digest) is None
        assert tx.blob_ledger.take_over(LATER, LATER + DAY, 10) == []
        assert tx.blob_ledger.take_over(LATER + DAY, LATER + DAY, 10) == [BLOB]
        assert tx.blob_ledger.take_over(LATER + DAY, LATER + DAY, 10) == []
        assert not tx.blob_ledger.is_condemned(BLOB.digest, LATER)
        assert tx.blob_ledger.is_condemned(BLOB.digest, LATER + DAY)
        tx.blob_ledger.forget(BLOB.digest)

    assert enter(store, now=LATER)
    with store.system() as tx:
        assert not tx.blob_ledger.is_condemned(BLOB.digest, LATER + DAY)
        tx.blob_ledger.forget(BLOB.digest)  # it is not condemned, so it stays
        assert tx.blob_ledger.get(BLOB.digest) == BLOB


def test_a_claim_under_way_keeps_its_blob(store: SqlStore):
    """The collector waits for a claim that is not committed yet, and sees it then."""
    enter(store)
    has_claimed, condemned = threading.Event(), []

    def collect() -> None:
        assert has_claimed.wait(120)
        condemned.extend(condemn(store))

    collector = threading.Thread(target=collect)
    collector.start()
    with store.transaction("acme") as tx:
        assert tx.blobs.claim(BLOB.digest, LATER)
        has_claimed.set()
        collector.join(0.3)  # it cannot end before this transaction does
        assert collector.is_alive()
    collector.join(120)
    assert not collector.is_alive()

    assert condemned == []
