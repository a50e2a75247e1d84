"""What the agent does when something goes wrong, against a real server that answers as told."""

import base64
import errno
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Self

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.agent import Agent, Pace
from octomil.device.releases import Release, Releases
from octomil.device.session import AUTH_PATIENCE_S, Session
from octomil.device.state import Identity, StateFolder, open_state_folder
from octomil.errors import ModelUnavailableError, UnauthorizedError
from octomil.registry.assignments import PAYLOAD_TYPE as ASSIGNMENT
from octomil.registry.assignments import statement
from octomil.registry.manifest import PAYLOAD_TYPE as MANIFEST
from octomil.registry.manifest import Manifest, ManifestFile, digest_of
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of, sign
from octomil.sdk.downloads import Downloader
from support.scripted import Answer, Script, problem, scripted

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNER = new_private_key()
CONTENT = b"weights"
FILES = {"onnx": ManifestFile(digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size=7)}
PAYLOAD = Manifest(name="mnist", version="1.0.0", files=FILES, lineage=(), created="x").payload()
TOKENS = {"device_id": "dev_1", "access_token": "new", "refresh_token": "r2", "expires_in": 3600}
REFUSED = problem("unauthorized", 401)
REGISTERED = Answer({"id": "dev_1"})
LATER = {"Retry-After": "3600"}  # so long that nobody waits for it


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signature(kind: str, payload: bytes) -> dict[str, str]:
    sig = sign(OWNER, kind, payload)
    return {"keyid": key_id_of(public_key_of(OWNER)), "sig": text(sig)}


def told(payload: bytes = PAYLOAD, *, updated: bool = True) -> Answer:
    """An answer to the question what to run."""
    said = {"model_id": "m", "name": "mnist", "version": "1.0.0", "digest": digest_of(payload)}
    signed = signature(ASSIGNMENT, statement(device_id="dev_1", **said, sequence=3))
    offer = {**said, "sequence": 3, "signature": signed}
    flags = dict.fromkeys(("updated", "assignments_changed", "rollouts_changed"), updated)
    return Answer({**flags, "config_version": 3, "assignments": [offer]})


def enveloped(payload: bytes = PAYLOAD) -> Answer:
    return Answer({"payload": text(payload), "signatures": [signature(MANIFEST, payload)]})


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with open_state_folder(tmp_path / "device") as state:
        public = public_key_of(OWNER)
        state.keys.write_text(json.dumps({key_id_of(public): text(public)}))
        yield state


class Device:
    """An agent whose access token holds by its own clock."""

    def __init__(
        self,
        script: Script,
        state: StateFolder,
        activator: Callable[[StateFolder], LinkActivator] = LinkActivator,
    ) -> None:
        base = f"{script.url}/api/v1"
        state.keep_identity(
            Identity(
                api_base=base, device_identifier="box-1", device_id="dev_1", access_token="old",
                refresh_token="r1", expires_at=NOW + timedelta(hours=1),
            )
        )  # fmt: skip
        self.session = Session(state, base, None, None, lambda: NOW)
        releases = Releases(state, self.session.api, Downloader(self.session.api))
        self.lines: list[str] = []
        self.stop = Event()
        self.agent = Agent(
            self.session, releases, activator(state), say=self._say, pace=Pace(poll_s=0.001),
            clock=lambda: 0.0,
        )  # fmt: skip

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if "is the device" not in line and "fetching" not in line:
            self.stop.set()  # something was told that went right or wrong: enough was seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()


def paths(script: Script) -> list[str]:
    return [asked.path.removeprefix("/api/v1").partition("?")[0] for asked in script.asked]


def test_an_access_token_that_is_not_taken_is_renewed(state: StateFolder):
    answers = REFUSED, Answer(TOKENS), REGISTERED, told(updated=False)
    with scripted(*answers) as script, Device(script, state) as device:
        assert device.agent.turn()

    assert paths(script)[:3] == ["/devices/register", "/device-auth/refresh", "/devices/register"]
    assert script.asked[2].headers["authorization"] == "Bearer new"


def test_it_ends_where_the_renewed_token_is_refused_too(state: StateFolder):
    answers = REFUSED, Answer(TOKENS), REFUSED
    with (
        scripted(*answers) as script,
        Device(script, state) as device,
        pytest.raises(UnauthorizedError),
    ):
        device.agent.run(device.stop)

    assert len(script.asked) == 3


@pytest.mark.parametrize(
    "answer",
    [{}, [], "x", {**told().body, "assignments": [{}]}, {**told().body, "config_version": "x"}],
)
def test_an_answer_that_makes_no_sense_ends_nothing(state: StateFolder, answer: object):
    with scripted(REGISTERED, Answer(answer)) as script, Device(script, state) as device:
        device.agent.run(device.stop)

    assert "these are no assignments" in device.lines[-1]


def test_tokens_that_are_none_are_an_error_of_the_server(state: StateFolder):
    with scripted(REFUSED, Answer({"hello": 1})) as script, Device(script, state) as device:
        device.agent.run(device.stop)

    assert "these are no tokens" in device.lines[-1]


def test_strange_files_in_its_folders_are_left_alone(state: StateFolder):
    strange = [state.releases / "README", state.active / "README"]
    for each in strange:
        each.write_text("hello")
    (state.releases / ("0" * 64)).mkdir()
    answers = REGISTERED, told(), enveloped(), Answer({"url": "/blob"}), Answer(CONTENT), Answer({})
    with scripted(*answers) as script, Device(script, state) as device:
        assert device.agent.turn()

    assert [each.read_text() for each in strange] == ["hello", "hello"]
    assert not (state.releases / ("0" * 64)).exists()
    assert script.asked[-1].json["status"] == "active"


@pytest.mark.parametrize(
    "way",
    [problem("service_unavailable", 503, headers=LATER),
     problem("rate_limited", 429, headers=LATER), problem("not_found", 404),
     Answer(b"<html>", headers={"Content-Type": "text/html"}),
     Answer({"payload": "?"})],
)  # fmt: skip
def test_what_goes_wrong_on_the_way_says_nothing_about_the_release(state: StateFolder, way: Answer):
    with scripted(REGISTERED, told(), way) as script, Device(script, state) as device:
        assert not device.agent.turn()

    assert paths(script)[-1].endswith("/manifest")
    assert device.lines[-1].startswith("m 1.0.0: ")


@pytest.mark.parametrize(
    ("payload", "why"),
    [(b"{}", "no manifest"), (PAYLOAD.replace(b"mnist", b"other"), "was assigned"),
     (PAYLOAD.replace(b"1.0.0", b"0.9.0"), "was assigned")],
)  # fmt: skip
def test_what_is_wrong_with_the_release_is_attested(state: StateFolder, payload: bytes, why: str):
    answers = REGISTERED, told(payload), enveloped(payload), Answer({})
    with scripted(*answers) as script, Device(script, state) as device:
        assert not device.agent.turn()

    attested = script.asked[-1].json
    assert (attested["status"], attested["digest"]) == ("failed", digest_of(payload))
    assert why in attested["message"]


FAULTS = [OSError(errno.EIO, "the disk is broken"), ModelUnavailableError("the hub is away")]


@pytest.mark.parametrize("fault", FAULTS, ids=["disk", "away"])
def test_a_fault_of_the_machine_ends_nothing_and_is_not_attested(
    state: StateFolder, fault: Exception
):
    class Broken(LinkActivator):
        def activate(self, release: Release) -> None:
            raise fault

    answers = REGISTERED, told(), enveloped(), Answer({"url": "/blob"}), Answer(CONTENT)
    with scripted(*answers) as script, Device(script, state, Broken) as device:
        device.agent.run(device.stop)

    assert device.lines[-1] == f"m 1.0.0: {fault}"
    assert not [path for path in paths(script) if path.endswith("/attestations")]


def test_a_fault_beside_a_release_ends_nothing_either(state: StateFolder):
    class Broken(LinkActivator):
        def in_use(self) -> set[str]:
            raise OSError(errno.EIO, "the disk is broken")

    answers = REGISTERED, told(), problem("not_found", 404)
    with scripted(*answers) as script, Device(script, state, Broken) as device:
        device.agent.run(device.stop)

    assert "the disk is broken" in device.lines[-1]


FETCHED = enveloped(), Answer({"url": "/blob"}), Answer(CONTENT)
AGAIN = Answer({"confirmed_after_s": 0})


def test_what_runs_is_attested_again_once_its_window_is_over(state: StateFolder):
    later = told(updated=False), AGAIN, told(updated=False), Answer({}), told(updated=False)
    with (
        scripted(REGISTERED, told(), *FETCHED, AGAIN, *later) as script,
        Device(script, state) as device,
    ):
        for _ in range(4):
            assert device.agent.turn()

    attested = [each.json for each in script.asked if each.path.endswith("/attestations")]
    assert [each["status"] for each in attested] == ["active"] * 3
    assert {each["digest"] for each in attested} == {digest_of(PAYLOAD)}


def test_what_does_not_run_any_more_when_its_window_is_over_has_failed(state: StateFolder):
    class Forgetful(LinkActivator):
        looks = 0

        def running(self, model_id: str) -> str | None:
            self.looks += 1
            return super().running(model_id) if self.looks <= 2 else None

    later = told(updated=False), Answer({}), told(updated=False)
    with (
        scripted(REGISTERED, told(), *FETCHED, AGAIN, *later) as script,
        Device(script, state, Forgetful) as device,
    ):
        for _ in range(3):
            device.agent.turn()

    first, last = [each.json for each in script.asked if each.path.endswith("/attestations")]
    assert (first["status"], last["status"], last["code"]) == ("active", "failed", "wrong_digest")


def test_what_takes_the_place_of_a_version_ends_its_window(state: StateFolder):
    other = PAYLOAD.replace(b"1.0.0", b"9.9.9")
    later = told(other), enveloped(other), Answer({}), told(updated=False)
    with (
        scripted(REGISTERED, told(), *FETCHED, AGAIN, *later) as script,
        Device(script, state) as device,
    ):
        for _ in range(3):
            device.agent.turn()

    attested = [each.json for each in script.asked if each.path.endswith("/attestations")]
    assert [(each["status"], each["digest"]) for each in attested] == [
        ("active", digest_of(PAYLOAD)),
        ("failed", digest_of(other)),
    ]


def test_what_answers_an_attestation_and_is_none_ends_nothing(state: StateFolder):
    strange = Answer({"confirmed_after_s": "soon"})
    with (
        scripted(REGISTERED, told(), *FETCHED, strange) as script,
        Device(script, state) as device,
    ):
        device.agent.run(device.stop)

    assert "answers no attestation" in device.lines[-1]


def test_calls_for_tokens_give_up_within_minutes():
    assert timedelta(minutes=10).total_seconds() > AUTH_PATIENCE_S
