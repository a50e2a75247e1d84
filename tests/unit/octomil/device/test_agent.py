"""What the agent does when something goes wrong, against a real server that answers as told."""

import errno
import json
from datetime import timedelta

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.pace import Pace
from octomil.device.releases import Release
from octomil.device.session import AUTH_PATIENCE_S
from octomil.device.state import StateFolder
from octomil.errors import InvalidModelFileError, ModelUnavailableError, UnauthorizedError
from octomil.registry.manifest import Manifest, digest_of, hex_of
from octomil.wire.texts import is_plain_text
from support.device_agent import (
    CONTENT,
    HEARD,
    LATER,
    LINK,
    NO_NEWS,
    PAYLOAD,
    REFUSED,
    REGISTERED,
    TOKENS,
    Device,
    attested,
    enveloped,
    offer,
    plan,
    told,
)
from support.scripted import Answer, Script, problem, scripted


def paths(script: Script) -> list[str]:
    return [asked.path.removeprefix("/api/v1").partition("?")[0] for asked in script.asked]


def questions(script: Script) -> list[str]:
    """What was said in each question what to run."""
    return [asked.path.partition("?")[2] for asked in script.asked if "/assignm" in asked.path]


def test_an_access_token_that_is_not_taken_is_renewed(state: StateFolder):
    answers = REFUSED, Answer(TOKENS), REGISTERED, told(updated=False)
    with scripted(*answers) as script, Device(script, state) as device:
        assert device.agent.turn()

    assert paths(script)[:3] == ["/devices/register", "/device-auth/refresh", "/devices/register"]
    assert script.asked[2].headers["authorization"] == "Bearer new"


def test_with_another_id_it_registers_again_and_tells_what_runs(state: StateFolder):
    """As where a backup was restored that is older than the device."""
    other = Answer(TOKENS | {"device_id": "dev_2"})
    answers = REGISTERED, NO_NEWS, REFUSED, other, Answer({"id": "dev_2"}), NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        assert device.agent.turn()
        assert device.agent.turn()

    assert paths(script) == [
        "/devices/register",
        "/devices/dev_1/assignments",
        "/devices/dev_1/assignments",
        "/device-auth/refresh",
        "/devices/register",
        "/devices/dev_2/assignments",
    ]
    assert "config_version" not in questions(script)[-1]


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

    assert "not what to run" in device.lines[-1]


@pytest.mark.parametrize(
    "answer",
    [[], {"hello": 1}, TOKENS | {"expires_in": "x"}, TOKENS | {"expires_in": 10**12},
     TOKENS | {"expires_in": 10**30}, TOKENS | {"access_token": "\u00e9"},
     TOKENS | {"access_token": "a\r\nb"}, TOKENS | {"refresh_token": "\ud800"},
     TOKENS | {"device_id": "\ud800"}],
)  # fmt: skip
def test_tokens_that_are_none_are_an_error_of_the_server(state: StateFolder, answer: object):
    with scripted(REFUSED, Answer(answer)) as script, Device(script, state) as device:
        device.agent.run(device.stop)

    assert "a device's tokens" in device.lines[-1]
    assert state.identity.access_token == "old"


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


BAD = b"{}"
"""A payload that is signed, and no manifest."""


@pytest.mark.parametrize(
    "refusal",
    [problem("not_found", 404), problem("bad_request", 400), problem("conflict", 409),
     problem("rate_limited", 429, headers=LATER), Answer(b"<html>")],
)  # fmt: skip
def test_a_refused_attestation_ends_neither_the_patience_nor_the_turn(
    state: StateFolder, refusal: Answer
):
    both = plan(offer(BAD, "bad"), offer(model_id="good"))
    answers = (
        REGISTERED, both, enveloped(BAD), refusal, enveloped(), LINK, Answer(CONTENT), HEARD, both
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        assert not device.agent.turn()
        asked = len(script.asked)
        assert not device.agent.turn()

    assert script.asked[asked - 1].json["status"] == "active"
    assert "was not told" in " ".join(device.lines)
    assert paths(script)[asked:] == ["/devices/dev_1/assignments"]


def test_what_runs_and_cannot_be_attested_is_attested_later(state: StateFolder):
    refusal = problem("not_found", 404)
    answers = (
        REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), refusal, told(), told(), HEARD
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        assert [device.agent.turn(), device.agent.turn()] == [False, False]
        assert sum(path.endswith("/attestations") for path in paths(script)) == 1
        device.now_s = 1.0
        assert device.agent.turn()

    assert script.asked[-1].json["status"] == "active"


def test_a_message_that_no_attestation_may_hold_is_made_one(state: StateFolder):
    class Broken(LinkActivator):
        def activate(self, release: Release) -> None:
            raise InvalidModelFileError("a\u202eb\x00c\x9bd\udcffe\nf\u2028g")

    answers = REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD
    with scripted(*answers) as script, Device(script, state, Broken) as device:
        assert not device.agent.turn()

    assert script.asked[-1].json["message"] == "a b c d e f g"
    assert all(is_plain_text(line) for line in device.lines)


class Looking(LinkActivator):
    """Counts how often the bytes of what runs are read."""

    looks = 0

    def running(self, model_id: str) -> str | None:
        type(self).looks += 1
        return super().running(model_id)


def test_what_runs_is_not_looked_at_again_because_of_another(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Looking, "looks", 0)
    both = plan(offer(model_id="good"), offer(BAD, "bad"))
    answers = (
        REGISTERED, both, enveloped(), LINK, Answer(CONTENT), HEARD, enveloped(BAD), HEARD,
        both, enveloped(BAD), HEARD, HEARD, both, HEARD, enveloped(BAD), HEARD,
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state, Looking) as device:
        assert not device.agent.turn()
        looks = Looking.looks
        device.now_s = 30.0
        assert not device.agent.turn()
        assert Looking.looks == looks + 1  # at what it has of the one that fails

        device.now_s = 2 * Pace().check_s  # it is looked at now and then, whatever is new
        assert not device.agent.turn()
        assert Looking.looks == looks + 3

    attested = [asked.json for asked in script.asked if asked.path.endswith("/attestations")]
    assert [each["model_id"] for each in attested] == ["good", "bad", "bad", "good", "bad"]


@pytest.mark.parametrize("waits", [HEARD, Answer({"confirmed_after_s": 10_000})])
def test_a_new_number_of_what_runs_is_taken_and_nothing_is_read_or_told_again(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch, waits: Answer
):
    """Numbers grow with every change of the fleet's plan, of other models' as well."""
    monkeypatch.setattr(Looking, "looks", 0)
    answers = (
        REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), waits,
        plan(offer(sequence=4), version=4), plan(updated=False, version=4),
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state, Looking) as device:
        assert device.agent.turn()
        looks = Looking.looks
        assert [device.agent.turn(), device.agent.turn()] == [True, True]
        assert Looking.looks == looks

    assert questions(script) == ["", "config_version=3", "config_version=4"]
    assert attested(script) == [(digest_of(PAYLOAD), "active")]
    assert json.loads(state.assignments.read_bytes())["m"]["sequence"] == 4


def test_a_number_of_what_runs_that_nobody_signed_is_told_and_put_right(state: StateFolder):
    spoilt = plan({**offer(), "sequence": 9}, version=9)
    answers = (
        REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD, spoilt, HEARD, told(), HEARD
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        assert [device.agent.turn() for _ in range(3)] == [True, False, True]

    assert [status for _, status in attested(script)] == ["active", "failed", "active"]


FORGED = {**offer(BAD), "sequence": 2**52}
"""A number that nobody signed."""


@pytest.mark.parametrize(
    "forged",
    [[plan(version=2**52)], [plan(FORGED, version=2**52), HEARD], [plan(offer(), version=2**52)]],
    ids=["nothing", "a number", "the real one"],
)
def test_a_number_that_nobody_signed_does_not_keep_it_from_news(
    state: StateFolder, forged: list[Answer]
):
    real = [REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD]
    with (
        scripted(*real, *forged, plan(updated=False)) as script,
        Device(script, state) as device,
    ):
        for _ in range(3):
            device.agent.turn()

    assert questions(script) == ["", "config_version=3", "config_version=3"]


@pytest.mark.parametrize(
    "forged", [plan(), plan(FORGED), plan(offer(BAD, "other"))], ids=["none", "bad", "another"]
)
def test_what_was_begun_is_kept_until_something_else_is_assigned(
    state: StateFolder, forged: Answer
):
    away = problem("service_unavailable", 503, headers=LATER)
    begun = state.incoming(hex_of(digest_of(PAYLOAD)))
    following = Manifest(name="mnist", version="1.0.0", files={}, lineage=(), created="y").payload()
    with scripted(REGISTERED, told(), enveloped(), away) as script, Device(script, state) as first:
        assert not first.agent.turn()
        assert begun.is_dir()

    with scripted(REGISTERED, forged, away) as script, Device(script, state) as again:
        again.agent.turn()
        assert begun.is_dir()

    with (
        scripted(REGISTERED, plan(offer(following, sequence=4)), away) as script,
        Device(script, state) as last,
    ):
        last.agent.turn()
        assert not begun.exists()


def test_what_nobody_signed_says_nothing_about_the_release_it_names(state: StateFolder):
    """Somebody in between spoils an assignment; the real one is followed at once."""
    spoilt = plan({**offer(), "sequence": 9})
    answers = (
        REGISTERED, spoilt, HEARD, spoilt, told(), enveloped(), LINK, Answer(CONTENT), HEARD
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        assert [device.agent.turn() for _ in range(3)] == [False, False, True]

    assert [asked.json["status"] for asked in script.asked if "attest" in asked.path] == [
        "failed", "active"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["model_id", "name", "version", "digest"])
def test_an_assignment_that_no_request_could_name_is_an_error_of_the_server(
    state: StateFolder, name: str
):
    strange = plan({**offer(), name: "\ud800"})
    with scripted(REGISTERED, strange) as script, Device(script, state) as device:
        device.agent.run(device.stop)

    assert "not what to run" in device.lines[-1]


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


FETCHED = enveloped(), LINK, Answer(CONTENT)
AGAIN = Answer({"confirmed_after_s": 10})


def test_what_runs_is_attested_again_once_its_window_is_over(state: StateFolder):
    answers = REGISTERED, told(), *FETCHED, AGAIN, NO_NEWS, NO_NEWS, AGAIN, NO_NEWS, HEARD, NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        for device.now_s in (0, 9, 10, 20, 30):
            assert device.agent.turn()

    assert attested(script) == [(digest_of(PAYLOAD), "active")] * 3
    assert len(script.asked) == len(answers)


def test_what_runs_no_more_when_its_window_is_over_has_failed_and_is_mended(state: StateFolder):
    answers = (
        REGISTERED, told(), *FETCHED, AGAIN, NO_NEWS, HEARD, told(), *FETCHED, HEARD
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        assert device.agent.turn()
        weights = next(state.releases.glob("*/onnx"))
        weights.chmod(0o600)
        weights.write_bytes(b"rotten!")
        device.now_s = 10
        device.agent.turn()
        assert script.asked[-1].json["code"] == "wrong_digest"
        device.now_s = 20
        assert device.agent.turn()

    whole = digest_of(PAYLOAD)
    assert attested(script) == [(whole, "active"), (whole, "failed"), (whole, "active")]
    assert weights.read_bytes() == CONTENT


def test_what_takes_the_place_of_a_version_ends_its_window(state: StateFolder):
    following = plan(offer(BAD, sequence=4), version=4)
    answers = REGISTERED, told(), *FETCHED, AGAIN, following, enveloped(BAD), HEARD, NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        for device.now_s in (0, 10, 20):
            device.agent.turn()

    assert attested(script) == [(digest_of(PAYLOAD), "active"), (digest_of(BAD), "failed")]


def test_what_nobody_signed_ends_no_window(state: StateFolder):
    answers = REGISTERED, told(), *FETCHED, AGAIN, plan(FORGED), HEARD, HEARD
    with scripted(*answers) as script, Device(script, state) as device:
        for device.now_s in (0, 10):
            device.agent.turn()

    assert attested(script) == [
        (digest_of(PAYLOAD), "active"), (digest_of(BAD), "failed"), (digest_of(PAYLOAD), "active")
    ]  # fmt: skip


def test_what_cannot_be_looked_at_or_told_is_confirmed_later(state: StateFolder):
    class Faulty(LinkActivator):
        is_broken = False

        def running(self, model_id: str) -> str | None:
            if self.is_broken:
                raise OSError(errno.EIO, "the disk is broken")
            return super().running(model_id)

    refusal = problem("not_found", 404)
    later = NO_NEWS, NO_NEWS, refusal, NO_NEWS, HEARD, NO_NEWS
    with (
        scripted(REGISTERED, told(), *FETCHED, AGAIN, *later) as script,
        Device(script, state, Faulty) as device,
    ):
        for device.now_s in (0, 10, 20, 30, 40):
            Faulty.is_broken = device.now_s == 10
            assert device.agent.turn()

    assert attested(script) == [(digest_of(PAYLOAD), "active")] * 3


@pytest.mark.parametrize("strange", [{"confirmed_after_s": "soon"}, [], "x"])
def test_an_answer_to_an_attestation_that_is_none_ends_nothing(state: StateFolder, strange: object):
    with (
        scripted(REGISTERED, told(), *FETCHED, Answer(strange)) as script,
        Device(script, state) as device,
    ):
        assert not device.agent.turn()

    assert "not an answer to an attestation" in device.lines[-1]


def test_calls_for_tokens_give_up_within_minutes():
    assert timedelta(minutes=10).total_seconds() > AUTH_PATIENCE_S
