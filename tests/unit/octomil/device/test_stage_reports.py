"""How far a device is, told to a real server: once a stage, and never waited for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from octomil.device import stage_reports
from octomil.device.slots import Candidate
from octomil.device.stage_reports import StageReports
from octomil.device.state import StateFolder
from support.device_agent import CONTENT, HEARD, LINK, REGISTERED, Device, enveloped, told
from support.scripted import Answer, Script, problem, scripted
from support.waiting import PATIENCE_S, eventually

WANTED = Candidate(model_id="m", version="2.0.0", digest="sha256:" + "a" * 64)
AWAY = problem("service_unavailable", 503)


def stages(script: Script) -> list[str]:
    return [asked.json["stage"] for asked in script.asked]


@contextmanager
def reporting(state: StateFolder, *answers: Answer) -> Iterator[tuple[Script, StageReports]]:
    with scripted(*answers) as script, Device(script, state) as device:
        reports = StageReports(device.session)
        yield script, reports
        eventually(lambda: not reports._is_sending)


@contextmanager
def held(script: Script) -> Iterator[None]:
    """Answer nothing until the block ends."""
    answer, ends = script.next, threading.Event()

    def hold() -> Answer:
        assert ends.wait(PATIENCE_S)
        return answer()

    script.next = hold
    try:
        yield
    finally:
        ends.set()


def test_each_stage_is_told_once(state: StateFolder):
    with reporting(state, HEARD) as (script, reports):
        for number, stage in enumerate(("downloading", "verifying"), 1):
            reports.tell(WANTED, stage)
            reports.tell(WANTED, stage)
            eventually(lambda number=number: len(script.asked) == number)

    assert stages(script) == ["downloading", "verifying"]
    first = script.asked[0]
    assert first.path == "/api/v1/devices/dev_1/stages"
    assert first.json == {"model_id": "m", "digest": WANTED.digest, "stage": "downloading"}


def test_of_what_cannot_be_told_yet_the_last_is_kept(state: StateFolder):
    with reporting(state, HEARD) as (script, reports):
        with held(script):
            reports.tell(WANTED, "downloading")
            eventually(lambda: script.asked)
            for stage in ("verifying", "staged", "activating"):
                reports.tell(WANTED, stage)
        eventually(lambda: len(script.asked) == 2)

    assert stages(script) == ["downloading", "activating"]


@pytest.mark.parametrize("refusal", [AWAY, Answer(["nonsense"], 502), problem("rate_limited", 429)])
def test_what_nobody_takes_is_told_later(state: StateFolder, refusal: Answer):
    with reporting(state, refusal, HEARD) as (script, reports):
        reports.tell(WANTED, "downloading")
        eventually(lambda: not reports._is_sending)
        reports.send()
        eventually(lambda: len(script.asked) == 2)

    assert stages(script) == ["downloading", "downloading"]


@pytest.mark.parametrize("refusal", [problem("not_found", 404), problem("unprocessable", 422)])
def test_what_is_refused_for_good_is_not_told_again(state: StateFolder, refusal: Answer):
    with reporting(state, refusal) as (script, reports):
        reports.tell(WANTED, "downloading")
        eventually(lambda: not reports._is_sending)
        reports.send()
        eventually(lambda: not reports._is_sending)

    assert len(script.asked) == 1


def test_what_is_attested_is_told_no_more(state: StateFolder):
    with reporting(state, HEARD) as (script, reports), held(script):
        reports.tell(WANTED, "downloading")
        eventually(lambda: script.asked)
        reports.tell(WANTED, "activating")
        reports.forget("m")

    assert stages(script) == ["downloading"]


class NoThread(threading.Thread):
    """A thread too many."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_without_a_thread_to_spare_it_is_told_later(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
):
    with reporting(state, HEARD) as (script, reports):
        with monkeypatch.context() as patch:
            patch.setattr(stage_reports, "Thread", NoThread)
            reports.tell(WANTED, "downloading")
        assert script.asked == []
        reports.send()
        eventually(lambda: script.asked)

    assert stages(script) == ["downloading"]


def test_a_session_that_was_closed_ends_it_quietly(state: StateFolder):
    with scripted(HEARD) as script, Device(script, state) as device:
        reports = StageReports(device.session)
        device.session.close()
        reports.tell(WANTED, "downloading")
        eventually(lambda: not reports._is_sending)

    assert script.asked == []


class Heard(StageReports):
    """Notes what it is told, and tells nobody."""

    def __init__(self, device: Device) -> None:
        super().__init__(device.session)
        self.stages: list[str] = []

    def tell(self, wanted, stage) -> None:
        self.stages.append(stage)


@pytest.mark.parametrize("trial", [None, lambda release: []], ids=["activated", "tried"])
def test_an_agent_tells_where_it_is(state: StateFolder, trial):
    answers = REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD
    with scripted(*answers) as script, Device(script, state, trial=trial) as device:
        heard = Heard(device)
        device.agent.tell_stages(heard)
        assert device.agent.turn()

    verifying = [] if trial is None else ["verifying"]
    assert heard.stages == ["downloading", *verifying, "staged", "activating"]
