"""What every store promises about models and versions, on SQLite and on a real Postgres server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from octomil.control.records import (
    Alias,
    Event,
    ManifestKey,
    Model,
    SignedManifest,
    Version,
    VersionFile,
    Webhook,
)
from octomil.control.stores import revisions
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from octomil.registry.lifecycle import VersionState
from octomil.registry.semver import SemVer

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
FILE = VersionFile(
    format="pytorch", digest="a" * 64, size_bytes=2**40, origin="original", name="m.pt",
    created_at=NOW,
)  # fmt: skip
WEBHOOK = Webhook(
    id="whk_1", organisation="acme", url="https://example.com", secret="s",
    events=("model.created", "alias.moved"), created_at=NOW,
)  # fmt: skip


def model(number: int = 1, organisation: str = "acme", **changes) -> Model:
    made = Model(
        id=f"mdl_{organisation}_{number}", organisation=organisation, name=f"model-{number}",
        metadata={}, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def version(number: str = "1.0.0", of: str = "mdl_acme_1", **changes) -> Version:
    made = Version(
        id=f"ver_{of}_{number}", organisation="acme", model_id=of, number=number, metrics={},
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def step(revision: int, number: str | None, **changes) -> Alias:
    made = Alias(
        model_id="mdl_acme_1", name="production", revision=revision, number=number,
        version_id=None if number is None else f"ver_mdl_acme_1_{number}", actor="key:k",
        moved_at=NOW + timedelta(hours=revision),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """A store with a model that has the versions 1.0.0 to 4.0.0."""
    with store.transaction("acme") as tx:
        assert tx.models.add(model())
        for number in range(1, 5):
            assert tx.versions.add(version(f"{number}.0.0"))
    return store


def ids(*numbers: str) -> list[str]:
    return [f"ver_mdl_acme_1_{number}.0.0" for number in numbers]


def test_what_is_committed_is_read_back_as_it_was(store: SqlStore):
    made = model(
        description="two\nlines", framework="pytorch", use_case="x", model_contract=[1, None],
        data_contract={"z": 1, "a": {"ä": "\u0000"}}, architecture="mlp", metadata={"n": 1.5},
    )  # fmt: skip
    begun = version(
        state=VersionState.FAILED, failure="why", formats_wanted=("b", "a"), description="d",
        metrics={"loss": 0.1}, published_at=NOW, deprecated_at=LATER, digest="f" * 64,
    )  # fmt: skip
    key = ManifestKey(id="k", private=b"\x00" * 32, public=b"\xff" * 32, created_at=NOW)
    manifest = SignedManifest(payload=b'{"a":1}', key_id="k", signature=b"\x00\xff")
    with store.transaction("acme") as tx:
        assert tx.models.add(made)
        assert tx.versions.add(begun)
        assert tx.versions.add_file(begun.id, FILE)
        tx.versions.put_manifest(begun.id, manifest)
        tx.manifest_keys.add(key)
        tx.webhooks.add(WEBHOOK)

    with store.snapshot("acme") as tx:
        assert tx.models.get(made.id) == tx.models.find(made.name) == made
        found = tx.versions.get(begun.id)
        assert found == tx.versions.find(made.id, "1.0.0") == replace(begun, files=(FILE,))
        assert found.state is VersionState.FAILED
        assert tx.versions.manifest(begun.id) == manifest
        assert tx.manifest_keys.list() == [key]
        assert tx.webhooks.list() == [tx.webhooks.get("whk_1")] == [WEBHOOK]


def test_no_repository_reaches_into_another_organisation(filled: SqlStore):
    told = Event(id="evt_1", type="model.created", subject="mdl_acme_1", data={}, occurred_at=NOW)
    with filled.transaction("acme") as tx:
        tx.versions.add_file(ids("1")[0], FILE)
        tx.versions.put_manifest(
            ids("1")[0], SignedManifest(payload=b"{}", key_id="k", signature=b"s")
        )
        tx.lineage.set_parents(ids("2")[0], ids("1"))
        assert tx.aliases.move(step(1, "1.0.0"))
        tx.manifest_keys.add(ManifestKey(id="k", private=b"1", public=b"2", created_at=NOW))
        tx.webhooks.add(WEBHOOK)
        tx.outbox.put(told, [WEBHOOK], "{}")

    with filled.transaction("globex") as tx:
        assert tx.models.get("mdl_acme_1") is tx.models.find("model-1") is None
        assert tx.models.hold("mdl_acme_1") is None
        assert tx.models.list(filters={}, limit=9) == []
        assert tx.models.names(["mdl_acme_1"]) == {}
        tx.models.update("mdl_acme_1", {"description": "theirs"}, LATER)
        assert tx.versions.get(ids("1")[0]) is tx.versions.latest("mdl_acme_1") is None
        assert tx.versions.find("mdl_acme_1", "1.0.0") is None
        assert tx.versions.hold("mdl_acme_1", "1.0.0") is None
        assert tx.versions.list("mdl_acme_1", state=None, limit=9) == []
        assert tx.versions.get_all(ids("1", "2")) == {}
        assert tx.versions.manifest(ids("1")[0]) is None
        tx.versions.update(ids("1")[0], {"digest": "0" * 64}, LATER)
        tx.versions.delete(ids("3")[0], LATER)
        tx.versions.delete_all("mdl_acme_1")
        assert tx.lineage.ancestry(ids("2")) == tx.lineage.progeny(ids("1")) == {}
        assert tx.lineage.foreign_children("mdl_acme_1") == []
        tx.lineage.delete_all("mdl_acme_1")
        assert tx.aliases.get("mdl_acme_1", "production") is None
        assert tx.aliases.list("mdl_acme_1") == tx.aliases.of_version(ids("1")[0]) == []
        assert tx.aliases.history("mdl_acme_1", "production", limit=9) == []
        assert tx.aliases.at("mdl_acme_1", "production", LATER) is None
        tx.aliases.delete_all("mdl_acme_1")
        tx.models.delete("mdl_acme_1")
        assert tx.manifest_keys.list() == tx.webhooks.list() == []
        assert tx.webhooks.get("whk_1") is None
        assert not tx.webhooks.delete("whk_1", LATER)
        assert tx.outbox.list("whk_1", state=None, limit=9) == []
        tx.outbox.drop("whk_1")

    with filled.snapshot("acme") as tx:
        assert tx.models.get("mdl_acme_1") == model()
        assert tx.versions.get(ids("1")[0]) == replace(version(), files=(FILE,))
        assert len(tx.versions.list("mdl_acme_1", state=None, limit=9)) == 4
        assert tx.lineage.ancestry(ids("2")) == {ids("2")[0]: ids("1")}
        assert tx.aliases.get("mdl_acme_1", "production") == step(1, "1.0.0")
        assert len(tx.outbox.list("whk_1", state=None, limit=9)) == 1


def test_a_name_and_a_number_are_taken_once(filled: SqlStore):
    with filled.transaction("acme") as tx:
        assert not tx.models.add(model(id="mdl_other"))
        assert not tx.versions.add(version(id="ver_other"))
        assert tx.versions.add_file(ids("1")[0], FILE)
        assert not tx.versions.add_file(ids("1")[0], replace(FILE, digest="b" * 64))
    with filled.transaction("globex") as tx:
        assert tx.models.add(model(organisation="globex"))


def test_versions_are_found_by_state_and_precedence(filled: SqlStore):
    numbers = ["1.10.0", "1.9.0", "2.0.0-rc.1", "1.11.0"]
    with filled.transaction("acme") as tx:
        tx.models.add(model(2))
        for offset, number in enumerate(numbers):
            made = version(number, "mdl_acme_2", created_at=NOW + timedelta(seconds=offset))
            assert tx.versions.add(made)
            assert tx.versions.latest("mdl_acme_2") is None
        for number in numbers[:3]:
            changes = {"state": VersionState.PUBLISHED, "metrics": {"a": [1]}}
            tx.versions.update(f"ver_mdl_acme_2_{number}", changes, LATER)

    with filled.snapshot("acme") as tx:
        assert tx.versions.latest("mdl_acme_2").number == "1.10.0"
        listed = tx.versions.list("mdl_acme_2", state=None, limit=3, offset=1)
        published = tx.versions.list("mdl_acme_2", state=VersionState.PUBLISHED, limit=9)
        changed = tx.versions.find("mdl_acme_2", "1.9.0")
    assert [each.number for each in listed] == ["2.0.0-rc.1", "1.9.0", "1.10.0"]
    assert [each.number for each in published] == ["2.0.0-rc.1", "1.9.0", "1.10.0"]
    assert (changed.state, changed.metrics, changed.updated_at) == (
        VersionState.PUBLISHED, {"a": [1]}, LATER,
    )  # fmt: skip


def test_versions_of_one_moment_are_listed_by_precedence(store: SqlStore):
    numbers = ["1.2.0", "1.10.0-beta.2", "1.10.0-beta.11", "1.10.0", "0.9.0"]
    with store.transaction("acme") as tx:
        tx.models.add(model())
        for number in numbers:
            tx.versions.add(version(number))
        listed = tx.versions.list("mdl_acme_1", state=None, limit=9)

    assert [each.number for each in listed] == sorted(numbers, key=SemVer.parse, reverse=True)


def test_a_published_version_leaves_its_number_behind(filled: SqlStore):
    first, second = ids("1", "2")
    with filled.transaction("acme") as tx:
        tx.versions.update(second, {"state": VersionState.PUBLISHED}, NOW)
        for version_id in (first, second):
            tx.versions.add_file(version_id, FILE)
            tx.versions.delete(version_id, LATER)
            assert tx.versions.get(version_id) is None
        assert tx.versions.add(version("1.0.0"))
        assert not tx.versions.add(version("2.0.0", id="ver_other"))
        assert tx.versions.find("mdl_acme_1", "2.0.0") is None
        assert tx.versions.get(first).files == ()
        tx.versions.delete_all("mdl_acme_1")
        tx.models.delete("mdl_acme_1")
        assert tx.models.get("mdl_acme_1") is None


def test_lineage_is_followed_as_far_as_it_goes(filled: SqlStore):
    """1 <- 2 <- 4, 1 <- 3 <- 4."""
    one, two, three, four = ids("1", "2", "3", "4")
    with filled.transaction("acme") as tx:
        tx.lineage.hold()
        for child, parents in [(two, [one]), (three, [one]), (four, [three, two])]:
            tx.lineage.set_parents(child, parents)
        tx.models.add(model(2))
        tx.versions.add(version("9.0.0", "mdl_acme_2"))
        tx.lineage.set_parents("ver_mdl_acme_2_9.0.0", [two])

    with filled.snapshot("acme") as tx:
        assert tx.lineage.ancestry([four]) == {four: [three, two], three: [one], two: [one]}
        assert tx.lineage.ancestry([one]) == {}
        assert tx.lineage.parents_of(four) == [three, two]
        assert tx.lineage.parents_of(one) == []
        assert tx.lineage.children_of(one) == [two, three]
        assert tx.lineage.children_of(four) == []
        progeny = tx.lineage.progeny([one])
        assert {node: set(children) for node, children in progeny.items()} == {
            one: {two, three},
            two: {four, "ver_mdl_acme_2_9.0.0"},
            three: {four},
        }
        assert tx.lineage.foreign_children("mdl_acme_1") == ["ver_mdl_acme_2_9.0.0"]
        assert tx.lineage.foreign_children("mdl_acme_2") == []
    with filled.transaction("acme") as tx:
        tx.lineage.set_parents(four, [])
        assert tx.lineage.ancestry([four]) == {}
        assert tx.lineage.parents_of(four) == []
    with filled.snapshot("globex") as tx:
        assert tx.lineage.parents_of(two) == tx.lineage.children_of(one) == []


def test_an_alias_takes_one_step_at_a_time_and_remembers_all(filled: SqlStore):
    steps = [step(1, "1.0.0"), step(2, "2.0.0"), step(3, None)]
    with filled.transaction("acme") as tx:
        for each in steps:
            assert tx.aliases.move(each)
        assert not tx.aliases.move(step(3, "4.0.0"))
        assert tx.aliases.move(step(1, "3.0.0", name="canary"))

    with filled.snapshot("acme") as tx:
        assert tx.aliases.get("mdl_acme_1", "production") == steps[2]
        assert tx.aliases.get("mdl_acme_1", "nothing") is None
        assert tx.aliases.list("mdl_acme_1") == [step(1, "3.0.0", name="canary")]
        assert tx.aliases.of_version(ids("3")[0]) == ["canary"]
        assert tx.aliases.of_version(ids("2")[0]) == []
        history = tx.aliases.history("mdl_acme_1", "production", limit=2, offset=1)
        assert history == [steps[1], steps[0]]
        at = [
            tx.aliases.at("mdl_acme_1", "production", NOW + timedelta(hours=hours))
            for hours in (0.9, 1, 1.9, 2.5, 9)
        ]
        assert at == [None, steps[0], steps[0], steps[1], steps[2]]


def test_a_database_of_the_first_version_is_brought_up_to_date(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    def only_the_first(connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(revisions._MIGRATIONS))
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, "0001")

    with monkeypatch.context() as patch:
        patch.setattr("octomil.control.stores.catalog.bring_up_to_date", only_the_first)
        old = open_store(url)
    with old.system() as tx:
        tx._connection.execute(
            text("INSERT INTO organisations VALUES ('acme', 'Acme', :now)"),
            {"now": NOW.replace(tzinfo=None).isoformat(sep=" ")},
        )
        assert revisions.present_revision(tx._connection) == "0001"
    old.close()

    store = open_store(url)
    with store.transaction("acme") as tx:
        assert tx.models.add(model())
    with store.system_snapshot() as tx:
        assert tx.organisation("acme").name == "Acme"
        assert revisions.present_revision(tx._connection) == revisions.known_revisions()[-1]
    store.close()


def signing_key(name: str, **more) -> ManifestKey:
    return ManifestKey(id=name, private=b"1" * 32, public=b"2" * 32, created_at=NOW, **more)


def test_one_key_signs_at_a_time_and_a_retired_one_forgets_how(store: SqlStore):
    second = signing_key("b", endorsed_by="a", endorsement=b"\x00s")
    with store.transaction("acme") as tx:
        assert tx.manifest_keys.current() is None
        assert tx.manifest_keys.add(signing_key("a"))
        assert not tx.manifest_keys.add(second)
        assert tx.manifest_keys.retire("a", LATER)
        assert not tx.manifest_keys.retire("a", NOW)
        assert tx.manifest_keys.add(second)

    with store.transaction("globex") as tx:
        assert tx.manifest_keys.current() is None
        assert not tx.manifest_keys.retire("b", LATER)
    with store.snapshot("acme") as tx:
        retired = replace(signing_key("a"), private=b"", retired_at=LATER)
        assert tx.manifest_keys.list() == [retired, second]
        assert tx.manifest_keys.current() == second
