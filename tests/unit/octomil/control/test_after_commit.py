"""What follows a commit, and what may be read meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.records import ApiKey, Revocation, SigningSecret
from octomil.control.services.download_links import DownloadLink
from octomil.control.stores.sql import SqlSystemTransaction
from octomil.errors import ConflictError
from octomil.wire.device_auth import BootstrapRequest
from octomil.wire.devices import DeviceRegistration
from octomil.wire.models import ModelCreation
from octomil.wire.rollouts import AttestationRequest
from support.control import control_plane, key_of
from support.versions import caller_of


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    with control_plane(tmp_path) as plane:
        key_of(plane)
        yield plane


def test_effects_follow_the_commit_in_their_order(plane: ControlPlane):
    done: list[str] = []
    with plane.store.group():
        for name in ("first", "second"):
            with plane.store.transaction("default") as tx:
                tx.after_commit(lambda name=name: done.append(name))
        assert done == []

    assert done == ["first", "second"]
    with plane.store.transaction("default") as tx:
        tx.after_commit(lambda: done.append("third"))
        assert len(done) == 2
    assert done[2:] == ["third"]


def test_what_was_undone_has_no_effect(plane: ControlPlane):
    done: list[str] = []

    def act(name: str, *, fails: bool = False) -> None:
        with plane.store.transaction("default") as tx:
            tx.after_commit(lambda: done.append(name))
            if fails:
                raise ConflictError("no")

    def act_in_a_group_that_fails() -> None:
        with plane.store.group():
            act("a part of what is undone")
            raise ConflictError("no")

    with plane.store.group():
        act("kept")
        with pytest.raises(ConflictError):
            act("undone", fails=True)
        with pytest.raises(ConflictError):
            act_in_a_group_that_fails()
    with pytest.raises(ConflictError):
        act_in_a_group_that_fails()

    assert done == ["kept"]


def test_an_effect_that_fails_keeps_no_other_from_following(plane: ControlPlane, caplog):
    done: list[str] = []
    with plane.store.group():
        for effect in (lambda: done.append("first"), lambda: done.remove("not there")):
            with plane.store.transaction("default") as tx:
                tx.after_commit(effect)
        with plane.store.transaction("default") as tx:
            tx.after_commit(lambda: done.append("last"))

    assert done == ["first", "last"]
    assert "what follows a commit failed" in caplog.text
    assert "ValueError" in caplog.text


def test_who_registers_or_attests_was_seen_once_that_is_committed(plane: ControlPlane):
    caller = caller_of()
    model, _ = plane.models.ensure(caller, ModelCreation(name="mnist"))
    with plane.store.group():
        registration = DeviceRegistration(device_identifier="box-1")
        device = plane.devices.register(caller, registration)
        assert len(plane.last_seen) == 0
    assert set(plane.last_seen.take()) == {device.id}

    attestation = AttestationRequest(
        model_id=model.id, version="1.0.0", digest=f"sha256:{'d' * 64}", status="active"
    )
    with plane.store.group():
        plane.attestations.attest(replace(caller, device_id=device.id), device.id, attestation)
        assert len(plane.last_seen) == 0
    assert set(plane.last_seen.take()) == {device.id}


def test_a_revocation_is_not_forgotten_by_reading_before_its_group_is_committed(plane):
    caller = caller_of()
    request = BootstrapRequest(device_identifier="box-1", scopes=["devices:write"])
    tokens = plane.device_auth.bootstrap(caller, request)

    with plane.store.group():
        plane.fleet.revoke(caller, tokens.device_id)
        in_another_thread(plane.access_tokens.refresh)  # as its job does

    assert plane.access_tokens.caller(tokens.access_token) is None


def test_a_revocation_waits_for_no_look_and_outlasts_it(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    caller = caller_of()
    request = BootstrapRequest(device_identifier="box-1", scopes=["devices:write"])
    tokens = plane.device_auth.bootstrap(caller, request)
    look = SqlSystemTransaction.revocations

    def looked(tx: SqlSystemTransaction, since: datetime) -> Sequence[Revocation]:
        found = look(tx, since)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(plane.fleet.revoke, caller, tokens.device_id).result(120)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(SqlSystemTransaction, "revocations", looked)
        plane.access_tokens.refresh()
    assert plane.access_tokens.caller(tokens.access_token) is None

    plane.access_tokens.refresh()
    assert plane.access_tokens.caller(tokens.access_token) is None


def test_whoever_gives_a_link_out_waits_for_nobody_else_s_look(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    links, look = plane.download_links, SqlSystemTransaction.signing_secrets

    def overtaken(tx: SqlSystemTransaction) -> Sequence[SigningSecret]:
        found = look(tx)
        monkeypatch.setattr(SqlSystemTransaction, "signing_secrets", look)
        plane.access_tokens.rotate_secret()
        plane.clock.advance(minutes=1)
        with ThreadPoolExecutor(1) as pool:
            given.append(pool.submit(links.give, "default", "d" * 64, "m.bin").result(120))
        return found

    given: list[tuple[DownloadLink, datetime]] = []
    monkeypatch.setattr(SqlSystemTransaction, "signing_secrets", overtaken)
    links.give("default", "d" * 64, "m.bin")

    links.require_true(given[0][0])


def test_a_revoked_key_is_not_remembered_by_who_read_it_before_the_commit(plane: ControlPlane):
    caller = caller_of()
    key, text = plane.api_keys.create("default", "old", ("*",), actor="test")

    with plane.store.group():
        plane.api_keys.revoke(caller, key.id)
        in_another_thread(lambda: plane.api_keys.look_up(text))

    assert plane.api_keys.remembered_caller(text) is None


def test_a_key_that_was_read_before_its_revocation_is_not_remembered_after_it(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    key, text = plane.api_keys.create("default", "old", ("*",), actor="test")
    look = SqlSystemTransaction.key_of_hash

    def looked(tx: SqlSystemTransaction, key_hash: bytes) -> ApiKey | None:
        found = look(tx, key_hash)
        plane.api_keys.revoke(caller_of(), key.id)
        return found

    monkeypatch.setattr(SqlSystemTransaction, "key_of_hash", looked)
    plane.api_keys.look_up(text)

    assert plane.api_keys.remembered_caller(text) is None


def in_another_thread(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()
