"""Replicas at work on one model at once: on SQLite, and on a real Postgres server."""

import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest

from octomil.control.records import VersionFile
from octomil.control.scopes import ALL_SCOPES
from octomil.control.services.aliases import AliasService
from octomil.control.services.callers import Caller
from octomil.control.services.deliveries import DeliveryService
from octomil.control.services.lineage import LineageService
from octomil.control.services.models import ModelService
from octomil.control.services.publication import PublicationService
from octomil.control.services.rollouts import RolloutService
from octomil.control.services.versions import VersionService
from octomil.control.services.webhooks import WebhookService
from octomil.control.stores.sql import SqlStore
from octomil.errors import ApiError, ConflictError, NotFoundError
from octomil.registry.lifecycle import VersionState
from octomil.registry.manifest import Manifest
from octomil.wire.aliases import AliasMove
from octomil.wire.models import ModelCreation
from octomil.wire.rollouts import RolloutRequest
from octomil.wire.versions import VersionCreation, VersionReference
from octomil.wire.webhooks import WebhookCreation

CALLER = Caller("acme", "key:test", (ALL_SCOPES,))
ROUNDS = 12
LATER = datetime(2100, 1, 1, tzinfo=UTC)
"""A moment that does not pass: no lease ends, however long a test takes."""


def now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """The services over one store, as a replica has them."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.models = ModelService(store, now)
        self.versions = VersionService(store, now)
        self.publication = PublicationService(store, now)
        self.lineage = LineageService(store, now)
        self.aliases = AliasService(store, now)
        self.webhooks = WebhookService(store, now, allow_private=True)
        self.deliveries = DeliveryService(store, lambda: LATER, random.random)

    def model(self, name: str = "mnist") -> str:
        return self.models.ensure(CALLER, ModelCreation(name=name))[0].id

    def draft(self, model: str, number: str) -> None:
        self.versions.create(CALLER, model, VersionCreation(version=number))

    def published(self, model: str, number: str) -> None:
        self.draft(model, number)
        self.versions.add_file(CALLER, model, number, file("pytorch"))
        self.publication.publish(CALLER, model, number)


@pytest.fixture
def registry(store: SqlStore) -> Registry:
    return Registry(store)


def file(format_: str) -> VersionFile:
    return VersionFile(
        format=format_, digest=hashlib.sha256(format_.encode()).hexdigest(), size_bytes=1,
        origin="original", name="m", created_at=now(),
    )  # fmt: skip


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What calls return that begin at one moment, or the errors of ours that they raise."""
    barrier = Barrier(len(calls))

    def attempt(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except ApiError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(attempt, calls))


def test_of_32_that_ensure_a_model_all_get_the_same_row(registry: Registry):
    made = at_once([registry.model] * 32)

    assert len(set(made)) == 1
    assert len(registry.models.list(CALLER, {}, limit=9, offset=0)) == 1
    with registry.store.snapshot("acme") as tx:
        tx.audit.verify()
        assert [act["operation"] for act in tx.audit.entries()] == ["model.create"]


def test_what_is_published_is_what_the_manifest_says(registry: Registry):
    """Files that come while a version is published are either in it or refused."""
    model = registry.model()
    for number in (f"{each}.0.0" for each in range(1, ROUNDS + 1)):
        registry.draft(model, number)
        registry.versions.add_file(CALLER, model, number, file("pytorch"))

        _, added = at_once(
            [
                lambda number=number: registry.publication.publish(CALLER, model, number),
                lambda number=number: registry.versions.add_file(
                    CALLER, model, number, file("onnx")
                ),
            ]
        )

        version = registry.versions.get(CALLER, model, number)
        with registry.store.snapshot("acme") as tx:
            manifest = Manifest.parse(tx.versions.manifest(version.id).payload)
        assert version.state is VersionState.PUBLISHED
        assert set(manifest.files) == {each.format for each in version.files}
        assert ("onnx" in manifest.files) != isinstance(added, ConflictError)


def test_a_version_is_rolled_out_or_deprecated_and_never_both(registry: Registry):
    rollouts = RolloutService(registry.store, now)
    wanted = RolloutRequest(version="1.0.0", start_immediately=True)
    for model in map(registry.model, (f"model-{number}" for number in range(ROUNDS))):
        registry.published(model, "1.0.0")

        ends = at_once(
            [
                partial(registry.versions.deprecate, CALLER, model, "1.0.0"),
                partial(rollouts.create, CALLER, model, wanted),
            ]
        )

        assert sum(isinstance(end, ConflictError) for end in ends) == 1, ends
        state = registry.versions.get(CALLER, model, "1.0.0").state
        under_way = rollouts.under_way(CALLER, model)
        assert (state is VersionState.DEPRECATED) != bool(under_way)


def test_no_cycle_comes_from_two_ends(registry: Registry):
    model = registry.model()
    for each in range(ROUNDS):
        first, second = f"{each}.0.1", f"{each}.0.2"
        for number in (first, second):
            registry.draft(model, number)

        def link(child: str, parent: str) -> Callable[[], Any]:
            reference = VersionReference(model_id=model, version=parent)
            return lambda: registry.lineage.set_parents(CALLER, model, child, [reference])

        told = at_once([link(first, second), link(second, first)])

        assert [isinstance(each, ConflictError) for each in told].count(True) == 1


def test_an_alias_never_points_at_what_was_removed(registry: Registry):
    model = registry.model()
    for each in range(1, ROUNDS + 1):
        number, name = f"{each}.0.0", f"name-{each}"
        registry.published(model, number)

        moved, removed = at_once(
            [
                lambda number=number, name=name: registry.aliases.move(
                    CALLER, model, name, AliasMove(version=number)
                ),
                lambda number=number: registry.versions.delete(CALLER, model, number),
            ]
        )

        pointing = {alias.name: alias.number for alias in registry.aliases.list(CALLER, model)}
        if isinstance(removed, ConflictError):
            assert pointing[name] == number
            assert registry.versions.get(CALLER, model, number)
        else:
            assert isinstance(moved, NotFoundError)
            assert name not in pointing


def test_a_version_is_begun_in_a_model_or_the_model_is_gone(registry: Registry):
    for each in range(ROUNDS):
        model = registry.model(f"model-{each}")

        begun, removed = at_once(
            [
                lambda model=model: registry.draft(model, "1.0.0"),
                lambda model=model: registry.models.delete(CALLER, model),
            ]
        )

        assert begun is None or isinstance(begun, NotFoundError)
        assert removed is None
        with pytest.raises(NotFoundError):
            registry.models.get(CALLER, model)


def test_moves_without_expectation_are_all_in_the_history(registry: Registry):
    model = registry.model()
    for number in ("1.0.0", "2.0.0"):
        registry.published(model, number)
    moves = [AliasMove(version=number) for number in ("1.0.0", "2.0.0") * 4]

    told = at_once(
        [lambda move=move: registry.aliases.move(CALLER, model, "production", move)
         for move in moves]
    )  # fmt: skip

    history = registry.aliases.history(CALLER, model, "production", limit=99, offset=0)
    assert [step.revision for step in history] == list(range(len(history), 0, -1))
    assert all(newer.number != older.number for newer, older in pairwise(history))
    assert {each.revision for each in told} == {step.revision for step in history}


def test_a_delivery_is_taken_by_one_of_many(registry: Registry):
    registry.webhooks.create(CALLER, WebhookCreation(url="http://127.0.0.1:1/"))
    for number in range(40):
        registry.model(f"model-{number}")

    claim = partial(registry.deliveries.claim, most=9, to_each=99)

    taken = [message for some in at_once([claim] * 8) for message in some]

    ids = [message.delivery.event_id for message in taken]
    assert len(ids) == len(set(ids))
    rest = [message.delivery.event_id for message in registry.deliveries.claim(99, to_each=99)]
    assert len({*ids, *rest}) == len(ids) + len(rest) == 40
