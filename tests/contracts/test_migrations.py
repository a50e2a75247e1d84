"""An old database becomes what a new one is, and keeps what it has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

from octomil.control.stores import revisions
from octomil.control.stores.catalog import _connect, _parse, open_store
from octomil.control.stores.sql import metadata
from octomil.control.tokens import hash_secret
from octomil.rollouts.blocks import files_digest, standing_block
from octomil.rollouts.plan import Plan
from support.postgres import fresh_database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/octomil.sqlite3"
    else:
        with fresh_database(request.getfixturevalue("postgres")) as url:
            yield url


def make_old(url: str, revision: str, *statements: str) -> None:
    """Make a database as an earlier version had it."""
    engines, lock = _connect(_parse(url))
    with engines.writer.connect() as connection, lock(connection):
        config = Config()
        config.set_main_option("script_location", str(revisions._MIGRATIONS))
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, revision)
        with connection.begin():
            for statement in statements:
                bound = {"hash": hash_secret("edg_old")} if ":hash" in statement else {}
                connection.execute(text(statement), bound)
    engines.dispose()


MOMENT = "'2026-01-01 00:00:00'"
OLD_ROWS = (
    f"INSERT INTO organisations VALUES ('default', 'default', {MOMENT})",
    f"""INSERT INTO api_keys (id, organisation, name, hash, scopes, created_at)
    VALUES ('key_1', 'default', 'admin', :hash, '["*"]', {MOMENT})""",
    f"""INSERT INTO devices (id, organisation, identifier, metadata, capabilities, generation,
    created_at, updated_at) VALUES ('dev_1', 'default', 'b', '{{}}', '{{}}', 0, {MOMENT}, {MOMENT})
    """,
)


@pytest.mark.parametrize("revision", revisions.known_revisions())
def test_from_each_revision_on_the_tables_become_what_the_code_declares(url: str, revision: str):
    make_old(url, revision)

    store = open_store(url)

    with store.system() as tx:
        context = MigrationContext.configure(tx._connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    store.close()


def test_an_old_database_keeps_its_keys_and_devices(url: str):
    make_old(url, "0001", *OLD_ROWS)

    store = open_store(url)

    with store.system_snapshot() as tx:
        key = tx.key_of_hash(hash_secret("edg_old"))
    with store.snapshot("default") as tx:
        device = tx.devices.find("b")
    assert (key.scopes, key.prefix, key.last_used_at) == (("*", "installation:admin"), "", None)
    assert (device.labels, device.groups) == ({}, ())
    store.close()


def test_of_several_signing_keys_the_youngest_goes_on_signing(url: str):
    insert = "INSERT INTO manifest_keys (id, organisation, private, public, created_at) VALUES "
    rows = [
        insert + f"('{name}', 'default', :hash, :hash, '2026-01-0{day} 00:00:00')"
        for name, day in (("k2", 2), ("k3", 3), ("k1", 1))
    ]
    make_old(url, "0010", OLD_ROWS[0], *rows)

    store = open_store(url)

    with store.snapshot("default") as tx:
        signs = tx.manifest_keys.current()
        keys = tx.manifest_keys.list()
    assert (signs.id, signs.private) == ("k3", hash_secret("edg_old"))
    assert [(key.id, key.private, key.retired_at is None) for key in keys] == [
        ("k1", b"", False),
        ("k2", b"", False),
        ("k3", signs.private, True),
    ]
    store.close()


def old_rollout(number: int, state: str, *, is_open: bool, is_offered: bool, started: str) -> str:
    columns = (
        "id, organisation, model_id, version_id, number, digest, status, rollout_percentage, "
        "target_percentage, increment_step, is_open, is_offered, revision, created_at, started_at"
    )
    return (
        f"INSERT INTO rollouts ({columns}) VALUES ('rol_{number}', 'default', 'mdl_1', "
        f"'ver_{number}', '{number}.0.0', '{number}', '{state}', 100, 100, 10, {is_open}, "
        f"{is_offered}, 2, '2026-01-0{number} 00:00:00', {started})"
    )


def test_rollouts_to_all_devices_go_on_as_they_are(url: str):
    make_old(
        url,
        "0090",
        OLD_ROWS[0],
        OLD_ROWS[2],
        old_rollout(1, "completed", is_open=False, is_offered=False, started=MOMENT),
        old_rollout(2, "rolled_back", is_open=False, is_offered=False, started="NULL"),
        old_rollout(3, "active", is_open=True, is_offered=True, started=MOMENT),
        f"INSERT INTO attestations VALUES ('dev_1', 'mdl_1', 'default', '3.0.0', '3', true, NULL, "
        f"{MOMENT})",
    )

    store = open_store(url)

    with store.snapshot("default") as tx:
        newest, taken_back, first = tx.rollouts.list("mdl_1", None, limit=9)
        (layer,) = tx.rollouts.layers("mdl_1")
        (device,) = tx.rollout_devices.page("rol_3", None, 9)
        said = tx.attestations.get("dev_1", "mdl_1")
        assert said.since == said.attested_at
    assert layer == newest
    assert [each.ordinal for each in (first, taken_back, newest)] == [1, 2, 3]
    assert (newest.progress.offered_percentage, newest.progress.step) == (100, 1)
    assert newest.plan == Plan(rollout_percentage=100)
    assert newest.progress.began_at == newest.started_at is not None
    assert (taken_back.progress.offered_percentage, taken_back.progress.step) == (0, 0)
    assert (device.device_id, device.progress.state) == ("dev_1", "succeeded")
    store.close()


def old_version(number: int, files: dict[str, str]) -> list[str]:
    """A version as a database had it whose rulings were kept by manifests, and what it was."""
    listed = {name: {"digest": f"sha256:{digest}", "size": 1} for name, digest in files.items()}
    payload = json.dumps({"files": listed}).encode().hex()
    columns = (
        "id, organisation, model_id, number, sort_key, is_prerelease, state, formats_wanted, "
        "metrics, digest, created_at, updated_at"
    )
    return [
        (
            f"INSERT INTO versions ({columns}) VALUES ('ver_{number}', 'default', 'mdl_1', "
            f"'{number}.0.0', '{number}', false, 'published', '[]', '{{}}', 'd{number}', {MOMENT}, "
            f"{MOMENT})"
        ),
        (
            "INSERT INTO version_manifests VALUES "
            f"('ver_{number}', 'default', {{bytes}}'{payload}', 'key', {{bytes}}'00')"
        ),
    ]


def old_ruling(digest: str, ordinal: int, day: int, *, is_block: bool) -> str:
    return (
        "INSERT INTO rulings (organisation, digest, ordinal, is_block, at, actor, reason) VALUES "
        f"('default', '{digest}', {ordinal}, {is_block}, '2026-02-0{day} 00:00:00', 'a', "
        f"'day {day}')"
    )


def test_rulings_stay_in_force_for_the_files_that_they_were_about(url: str):
    """Of versions with the same files a block that stands outlives another's that was lifted."""
    same, lifted = {"onnx": "aa", "pytorch": "bb"}, {"onnx": "cc"}
    set_back, twice = {"onnx": "dd"}, {"onnx": "ee"}
    statements = [
        *old_version(1, same),
        *old_version(2, same),
        *old_version(3, lifted),
        old_ruling("d1", 1, 1, is_block=True),
        old_ruling("d2", 1, 2, is_block=True),
        old_ruling("d2", 2, 3, is_block=False),
        old_ruling("d3", 1, 4, is_block=True),
        old_ruling("d3", 2, 5, is_block=False),
        *old_version(4, set_back),
        old_ruling("d4", 1, 8, is_block=True),
        old_ruling("d4", 2, 7, is_block=False),
        *old_version(5, twice),
        *old_version(6, twice),
        old_ruling("d5", 1, 1, is_block=True),
        old_ruling("d5", 2, 9, is_block=False),
        old_ruling("d6", 1, 2, is_block=True),
        old_ruling("d6", 2, 3, is_block=False),
        old_ruling("gone", 1, 6, is_block=True),
    ]
    model = f"""INSERT INTO models (id, organisation, name, metadata, created_at, updated_at)
    VALUES ('mdl_1', 'default', 'net', '{{}}', {MOMENT}, {MOMENT})"""
    make_old(url, "0112", OLD_ROWS[0], model, *(
        in_bytes(each, is_sqlite=url.startswith("sqlite")) for each in statements
    ))  # fmt: skip

    store = open_store(url)

    with store.snapshot("default") as tx:
        found = tx.rulings.of(files_digest("mdl_1", same))
        assert [each.reason for each in found] == ["day 2", "day 3", "day 1"]
        assert standing_block(files_digest("mdl_1", same), found) == found[-1]
        others = tx.rulings.of(files_digest("mdl_1", lifted))
        assert [each.is_block for each in others] == [True, False]
        back = tx.rulings.of(files_digest("mdl_1", set_back))
        assert [each.reason for each in back] == ["day 8", "day 7"], "the clock was set back"
        both = tx.rulings.of(files_digest("mdl_1", twice))
        assert [each.reason for each in both] == ["day 2", "day 3", "day 1", "day 9"]
        assert [each.reason for each in tx.rulings.of("gone")] == ["day 6"]
        assert all(tx.rulings.of(each) == [] for each in ("d1", "d2", "d3", "d4", "d5", "d6"))
    store.close()


def in_bytes(statement: str, *, is_sqlite: bool) -> str:
    """The statement with its literals of bytes as the database writes them."""
    return re.sub(r"\{bytes\}'(\w+)'", r"x'\1'" if is_sqlite else r"decode('\1', 'hex')", statement)
