"""SQLite and Postgres answer any sequence of the registry's commands alike."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.records import Organisation, VersionFile
from octomil.control.scopes import ALL_SCOPES
from octomil.control.services import aliases, models, versions, webhooks
from octomil.control.services.aliases import AliasService
from octomil.control.services.callers import Caller
from octomil.control.services.deliveries import DeliveryService
from octomil.control.services.lineage import LineageService
from octomil.control.services.models import ModelService
from octomil.control.services.publication import PublicationService
from octomil.control.services.versions import VersionService
from octomil.control.services.webhooks import WebhookService
from octomil.control.stores.catalog import open_store
from octomil.control.stores.sql import SqlStore
from octomil.errors import ApiError
from octomil.wire.aliases import AliasMove
from octomil.wire.models import ModelCreation
from octomil.wire.versions import VersionCreation, VersionReference
from octomil.wire.webhooks import WebhookCreation
from support.exploring import examples
from support.postgres import fresh_database

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODELS = ("mnist", "Ä b")
NUMBERS = ("1.0.0-rc.1", "1.0.0", "1.10.0", "1.9.0")
_runs = count()

places = st.tuples(st.sampled_from(MODELS), st.sampled_from(NUMBERS))
_EACH = ("create", "add_file", "publish", "deprecate", "delete", "measure", "fail", "parents",
         "alias", "alias_once", "unalias", "drop_model", "webhook", "deliver")  # fmt: skip
commands = st.lists(
    st.tuples(
        # What leads anywhere comes more often, or hardly a sequence would get far.
        st.sampled_from(_EACH + ("create", "add_file", "publish", "publish", "alias") * 2),
        places,
        places,
        st.integers(0, 3),
    ),
    max_size=25,
)


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


@examples(40)
@given(commands)
def test_any_sequence_is_answered_alike(stores: tuple[SqlStore, SqlStore], sequence: list[Any]):
    run = next(_runs)

    first, second = (Replay(store, run).answers(sequence) for store in stores)

    assert first == second


class Replay:
    """The services over one store, and the ids that it gave out, told by their order."""

    def __init__(self, store: SqlStore, run: int) -> None:
        self._store = store
        self._now = START
        self._caller = Caller(f"acme-{run}", "key:test", (ALL_SCOPES,))
        self._names: dict[str, str] = {}
        self._models = ModelService(store, self._clock)
        self._versions = VersionService(store, self._clock)
        self._publication = PublicationService(store, self._clock)
        self._lineage = LineageService(store, self._clock)
        self._aliases = AliasService(store, self._clock)
        self._webhooks = WebhookService(store, self._clock, allow_private=True)
        self._deliveries = DeliveryService(store, self._clock, lambda: 0.5, max_tries=2)
        with store.system() as tx:
            name = self._caller.organisation
            tx.add_organisation(Organisation(id=name, name=name, created_at=START))

    def answers(self, sequence: list[Any]) -> list[Any]:
        """What the store answers to each command, and what it has in the end."""
        told: list[Any] = []
        for command in sequence:
            self._now += timedelta(seconds=command[3])
            try:
                told.append(self._answer(*command))
            except ApiError as error:
                told.append((error.status, self._anonymous(str(error))))
        return told + self._state()

    def _answer(self, kind: str, place: tuple, other: tuple, number: int) -> Any:
        caller, (name, version) = self._caller, place
        model = self._model(name)
        target = (caller, model, version)
        expected = number if kind == "alias_once" else None
        move = AliasMove(version=version, expected_revision=expected)
        parents = [VersionReference(model_id=self._model(other[0]), version=other[1])]
        formats = ["onnx", "pytorch"][: number % 3]
        of_version = {
            "create": lambda: self._versions.create(
                caller, model, VersionCreation(version=version, formats=formats)
            ),
            "add_file": lambda: self._versions.add_file(*target, self._file(number)),
            "publish": lambda: self._publication.publish(*target),
            "deprecate": lambda: self._versions.deprecate(*target),
            "delete": lambda: self._versions.delete(*target),
            "measure": lambda: self._versions.put_metrics(*target, {str(number): number}),
            "fail": lambda: self._versions.fail(*target, "why"),
            "parents": lambda: self._lineage.set_parents(*target, parents),
        }
        of_alias = {
            "alias": lambda: self._aliases.move(caller, model, "production", move),
            "alias_once": lambda: self._aliases.move(caller, model, "production", move),
            "unalias": lambda: self._aliases.remove(caller, model, "production"),
        }
        others = {
            "drop_model": lambda: self._models.delete(caller, model),
            "webhook": self._listen,
            "deliver": lambda: self._deliver(number),
        }
        if kind in of_version:
            return self._shown(of_version[kind]())
        return self._shown_alias(of_alias[kind]()) if kind in of_alias else others[kind]()

    def _model(self, name: str) -> str:
        model, _ = self._models.ensure(self._caller, ModelCreation(name=name))
        self._names[model.id] = name
        return model.id

    def _listen(self) -> Any:
        made = self._webhooks.create(self._caller, WebhookCreation(url="http://127.0.0.1:1"))
        self._names[made.id] = "a webhook"
        return webhooks.view_of(made).events

    def _deliver(self, number: int) -> Any:
        status = (200, 500, None, 404)[number]
        told = []
        for message in self._deliveries.claim():
            delivery = message.delivery
            if delivery.organisation == self._caller.organisation:
                told.append((delivery.event_type, delivery.tries, self._names[delivery.webhook_id]))
            self._deliveries.settle(delivery, status, "gone" if status is None else None)
        return told

    def _state(self) -> list[Any]:
        """All that can be read, without the ids."""
        caller, state = self._caller, []
        for model in self._models.list(caller, {}, limit=99, offset=0):
            self._names[model.id] = model.name
            listed = self._versions.list(caller, model.id, state=None, limit=99, offset=0)
            state.append([models.view_of(model).name, *(self._shown(each) for each in listed)])
            for version in listed:
                near = self._lineage.ancestors(caller, model.id, version.number, limit=99)
                far = self._lineage.descendants(caller, model.id, version.number, limit=99)
                state.append([(each.model, each.version, each.status) for each in near])
                # Children of one version are told in the order of their ids, which are chance.
                state.append(sorted((each.model, each.version) for each in far))
            steps = self._aliases.history(caller, model.id, "production", limit=99, offset=0)
            state += [self._shown_alias(step) for step in steps]
        with self._store.snapshot(caller.organisation) as tx:
            tx.audit.verify()
            state.append([(act["operation"], act["at"]) for act in tx.audit.entries()])
        return state

    def _shown(self, version: Any) -> dict[str, Any]:
        view = versions.view_of(version)
        return {
            name: getattr(view, name)
            for name in type(view).__dataclass_fields__
            if name not in ("id", "model_id")
        }

    def _shown_alias(self, alias: Any) -> Any:
        view = aliases.view_of(alias)
        return view.name, view.version, view.revision, view.moved_at

    def _anonymous(self, text: str) -> str:
        for id_, name in self._names.items():
            text = text.replace(id_, name)
        return text

    def _clock(self) -> datetime:
        return self._now

    def _file(self, number: int) -> VersionFile:
        return VersionFile(
            format=["pytorch", "onnx"][number % 2],
            digest=hashlib.sha256(bytes([number // 2])).hexdigest(),
            size_bytes=number,
            origin="original",
            name="m",
            created_at=self._now,
        )
