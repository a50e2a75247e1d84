"""Which assignments a device follows: signed ones, and none older than the last."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from octomil.device.assignments import AcceptedAssignments
from octomil.device.state import StateFolder, open_state_folder
from octomil.device.trust import TrustedKeys
from octomil.errors import DataFolderError, DigestMismatchError, UnexpectedAnswerError
from octomil.http.api import ApiClient
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of, sign
from octomil.wire.devices import Assignment
from octomil.wire.versions import SignatureView
from support.scripted import Answer, scripted

OWNER, THIEF = new_private_key(), new_private_key()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def assignment(
    sequence: int, version: str = "1.0.0", by: bytes = OWNER, meant_for: str = "dev_1", **changes
) -> Assignment:
    said = {"model_id": "m", "name": "mnist", "version": version, "digest": "sha256:" + "0" * 64}
    said |= changes
    signature = sign(by, PAYLOAD_TYPE, statement(device_id=meant_for, **said, sequence=sequence))
    shown = SignatureView(keyid=key_id_of(public_key_of(by)), sig=text(signature))
    return Assignment(**said, sequence=sequence, signature=shown)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    """A device that had its first contact: it trusts the owner's key."""
    with open_state_folder(tmp_path / "device") as state:
        public = public_key_of(OWNER)
        state.keys.write_text(json.dumps({key_id_of(public): text(public)}))
        yield state


def accept(state: StateFolder, *assignments: Assignment) -> None:
    """Take assignments one after the other, each as after a restart."""
    with scripted(Answer({"keys": []})) as script, ApiClient(script.url, None) as api:
        for each in assignments:
            AcceptedAssignments(state, TrustedKeys(state, api)).accept(each, "dev_1")


def test_what_was_assigned_last_is_followed_an_older_version_too(state: StateFolder):
    accept(state, assignment(5), assignment(7, "2.0.0"), assignment(7, "2.0.0"))
    accept(state, assignment(8, "1.0.0"))  # a rollback

    assert json.loads(state.assignments.read_text()) == {"m": 8}


def test_what_was_assigned_before_is_not_followed_again(state: StateFolder):
    accept(state, assignment(7, "2.0.0"))

    with pytest.raises(UnexpectedAnswerError, match="older"):
        accept(state, assignment(5, "1.0.0"))


def test_models_are_counted_by_themselves(state: StateFolder):
    accept(state, assignment(7), assignment(5, model_id="other"))

    assert json.loads(state.assignments.read_text()) == {"m": 7, "other": 5}


@pytest.mark.parametrize(
    "changes",
    [{"sequence": 9}, {"version": "0.9.0"}, {"digest": "sha256:" + "1" * 64}, {"model_id": "n"},
     {"name": "other"}],
)  # fmt: skip
def test_nothing_of_it_can_be_changed_on_the_way(state: StateFolder, changes: dict):
    with pytest.raises(DigestMismatchError, match="forged"):
        accept(state, replace(assignment(7), **changes))

    assert not state.assignments.exists()


def test_nobody_else_can_assign(state: StateFolder):
    with pytest.raises(DigestMismatchError, match="none of the keys"):
        accept(state, assignment(7, by=THIEF))


def test_what_another_device_is_told_is_not_followed(state: StateFolder):
    with pytest.raises(DigestMismatchError, match="forged"):
        accept(state, assignment(7, meant_for="dev_2"))

    assert not state.assignments.exists()


def test_without_a_signature_nothing_is_followed(state: StateFolder):
    bare = replace(assignment(7), signature=SignatureView(keyid="x", sig="?"))

    with pytest.raises(UnexpectedAnswerError, match="no signature"):
        accept(state, bare)


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"m": null}', '{"m": "x"}'])
def test_what_was_taken_is_not_forgotten_by_damage(state: StateFolder, kept: str):
    state.assignments.write_text(kept)

    with pytest.raises(DataFolderError, match="damaged"):
        accept(state, assignment(7))
