"""Which assignments a device follows: signed ones, and none older than the last."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from octomil.device.assignments import AcceptedAssignments
from octomil.device.state import StateFolder
from octomil.device.trust import TrustedKeys
from octomil.errors import DataFolderError, DigestMismatchError, UnexpectedAnswerError
from octomil.http.api import ApiClient
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of, sign
from octomil.registry.succession import endorse
from octomil.wire.devices import Assignment
from octomil.wire.versions import SignatureView
from support.device_keys import OWNER, text
from support.scripted import Answer, scripted

THIEF = new_private_key()


def assignment(
    sequence: int, version: str = "1.0.0", by: bytes = OWNER, meant_for: str = "dev_1", **changes
) -> Assignment:
    said = {"model_id": "m", "name": "mnist", "version": version, "digest": "sha256:" + "0" * 64}
    said |= changes
    signature = sign(by, PAYLOAD_TYPE, statement(device_id=meant_for, **said, sequence=sequence))
    shown = SignatureView(keyid=key_id_of(public_key_of(by)), sig=text(signature))
    return Assignment(**said, sequence=sequence, signature=shown)


def listed(private: bytes, status: str, endorsed_by: bytes | None = None) -> dict:
    """A key as the control plane lists it."""
    public = public_key_of(private)
    said = endorsed_by and endorse(endorsed_by, public)
    return {
        "keyid": key_id_of(public), "algorithm": "ed25519", "public_key": text(public),
        "status": status, "created_at": "now", "retired_at": None,
        "endorsement": said and {"keyid": said.key_id, "sig": text(said.signature)},
    }  # fmt: skip


def accept(state: StateFolder, *assignments: Assignment, keys: Sequence[dict] = ()) -> None:
    """Take assignments one after the other, each as after a restart."""
    with scripted(Answer({"keys": list(keys)})) as script, ApiClient(script.url, None) as api:
        for each in assignments:
            AcceptedAssignments(state, TrustedKeys(state, api)).accept(each, "dev_1")


def taken(state: StateFolder) -> dict[str, int]:
    kept = json.loads(state.assignments.read_text())
    return {model_id: each["sequence"] for model_id, each in kept.items()}


def test_what_was_assigned_last_is_followed_an_older_version_too(state: StateFolder):
    accept(state, assignment(5), assignment(7, "2.0.0"), assignment(7, "2.0.0"))
    accept(state, assignment(8, "1.0.0"))  # a rollback

    assert taken(state) == {"m": 8}


def test_what_was_assigned_before_is_not_followed_again(state: StateFolder):
    accept(state, assignment(7, "2.0.0"))

    with pytest.raises(UnexpectedAnswerError, match="older"):
        accept(state, assignment(5, "1.0.0"))


def test_models_are_counted_by_themselves(state: StateFolder):
    accept(state, assignment(7), assignment(5, model_id="other"))

    assert taken(state) == {"m": 7, "other": 5}


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


def test_who_has_begun_anew_after_a_theft_is_no_longer_the_thiefs(state: StateFolder):
    """Its key was rotated, and goes on being listed for what it has signed."""
    state.keys.unlink()
    keys = [listed(THIEF, "retired"), listed(OWNER, "active", endorsed_by=THIEF)]
    accept(state, assignment(7), keys=keys)

    with pytest.raises(DigestMismatchError, match="none of the keys"):
        accept(state, assignment(8, by=THIEF), keys=keys)


def test_without_a_signature_nothing_is_followed(state: StateFolder):
    bare = replace(assignment(7), signature=SignatureView(keyid="x", sig="?"))

    with pytest.raises(UnexpectedAnswerError, match="no signature"):
        accept(state, bare)


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"m": null}', '{"m": 7}', '{"m": {}}'])
def test_what_was_taken_is_not_forgotten_by_damage(state: StateFolder, kept: str):
    state.assignments.write_text(kept)

    with pytest.raises(DataFolderError, match="damaged"):
        accept(state, assignment(7))
