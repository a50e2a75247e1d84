"""SQLite and Postgres answer any sequence of commands alike."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.records import Act, Device, Organisation, Profile, RequestKey
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore, SqlTransaction
from octomil.wire.texts import is_plain_text
from support.exploring import examples
from support.postgres import fresh_database

START = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ORGANISATIONS = ("acme", "globex")
_runs = count()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
labels = st.none() | st.text(max_size=20).filter(is_plain_text)
profiles = st.builds(
    Profile,
    platform=labels,
    os_version=labels,
    metadata=st.dictionaries(st.text(), json_values, max_size=3),
    capabilities=st.dictionaries(st.text(), json_values, max_size=2),
    feature_schema=json_values,
)


@dataclass(frozen=True)
class Command:
    """Something to do, in the name of an organisation; `undone` rolls it back afterwards."""

    name: str
    organisation: int
    number: int
    profile: Profile
    undone: bool


commands = st.lists(
    st.builds(
        Command,
        name=st.sampled_from(["add", "find", "update", "revoke", "see", "audit", "keep"]),
        organisation=st.integers(0, 1),
        number=st.integers(0, 3),
        profile=profiles,
        undone=st.integers(0, 4).map(lambda n: n == 0),
    ),
    max_size=15,
)


class _UndoError(Exception):
    pass


@pytest.fixture(scope="module")
def stores(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SqlStore, SqlStore]]:
    folder: Path = tmp_path_factory.mktemp("agree")
    with fresh_database(postgres) as url:
        pair = open_store(f"sqlite:///{folder}/x.sqlite3"), open_store(url)
        yield pair
        for store in pair:
            store.close()


@examples(30)
@given(commands)
def test_any_sequence_is_answered_alike(stores: tuple[SqlStore, SqlStore], sequence: list[Command]):
    run = next(_runs)

    first, second = (answers(store, run, sequence) for store in stores)

    assert first == second


def answers(store: SqlStore, run: int, sequence: list[Command]) -> list[Any]:
    """What a store answers to each command, and what it has in the end."""
    names = [f"{name}-{run}" for name in ORGANISATIONS]
    with store.system() as tx:
        for name in names:
            tx.add_organisation(Organisation(id=name, name=name, created_at=START))
    told = []
    for step, command in enumerate(sequence):
        now = START + timedelta(seconds=step)
        with suppress(_UndoError), store.transaction(names[command.organisation]) as tx:
            told.append(answer(tx, command, f"{run}-{command.organisation}", now))
            if command.undone:
                raise _UndoError
    for place, name in enumerate(names):
        with store.snapshot(name) as tx:
            told += [tx.devices.get(f"dev-{run}-{place}-{number}") for number in range(4)]
            told += [list(tx.audit.entries()), tx.audit.verify()]
    return told


def answer(tx: SqlTransaction, command: Command, prefix: str, now: datetime) -> Any:
    device_id, identifier = f"dev-{prefix}-{command.number}", f"box {command.number}"
    match command.name:
        case "add":
            made = Device(
                id=device_id, organisation=tx.organisation, identifier=identifier, generation=0,
                profile=command.profile, created_at=now, updated_at=now,
            )  # fmt: skip
            return tx.devices.add(made)
        case "find":
            return tx.devices.find(identifier)
        case "update":
            return tx.devices.update_profile(device_id, command.profile, now)
        case "revoke":
            try:
                return tx.devices.revoke_tokens(device_id, now)
            except LookupError as error:
                return repr(error)
        case "keep":
            key = RequestKey(caller="key:1", text=identifier)
            is_first = tx.idempotency_keys.claim(key, b"\x00\xff", now)
            if is_first:
                tx.idempotency_keys.keep(key, 200, repr(now).encode())
            return is_first, tx.idempotency_keys.find(key)
        case "see":
            return tx.devices.get(device_id)
        case other:
            act = Act(actor="a", operation=other, target=device_id, details={"n": command.number})
            return tx.audit.append(act, now), tx.audit.verify()
