"""How the agent waits for news, against a real server that answers as told."""

import threading

import pytest

from octomil.device import stopping
from octomil.device.pace import Pace
from octomil.device.questions import PLAIN_S, Wait
from octomil.device.state import StateFolder
from octomil.device.stopping import Stop, StoppedError, unless_stopped
from octomil.errors import BadRequestError
from support.device_agent import (
    CONTENT,
    HEARD,
    LINK,
    NO_NEWS,
    REFUSED,
    REGISTERED,
    TOKENS,
    Device,
    enveloped,
    offer,
    plan,
    told,
)
from support.scripted import Answer, Script, problem, scripted
from support.waiting import PATIENCE_S

UNKNOWN = problem("bad_request", 400)
AWAY = problem("service_unavailable", 503, headers={"Retry-After": "0"})


def questions(script: Script) -> list[str]:
    """What was said in each question what to run."""
    return [asked.path.partition("?")[2] for asked in script.asked if "/assignm" in asked.path]


def turn(device: Device, seconds: float = 8.5) -> bool:
    return device.agent.turn(Wait(seconds=seconds, stop=Stop()))


def test_it_lets_the_server_wait_for_as_long_as_it_would(state: StateFolder):
    answers = REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD, NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        assert [turn(device), turn(device), turn(device, 300.0)] == [True, True, True]

    assert questions(script) == [
        "wait_s=8.5", "config_version=3&wait_s=8.5", "config_version=3&wait_s=60.0"
    ]  # fmt: skip


def test_an_answer_is_as_old_as_its_question_s_end(state: StateFolder):
    """What was said after a long wait is news: nobody asks again before the fetch."""
    answers = REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD
    with scripted(*answers) as script, Device(script, state) as device:
        answer = script.next

        def after_a_while() -> Answer:
            device.now_s += 8.5 if "wait_s" in script.asked[-1].path else 0.0
            return answer()

        script.next = after_a_while
        assert turn(device)

    assert questions(script) == ["wait_s=8.5"]


def test_a_single_turn_waits_for_nothing(state: StateFolder):
    with scripted(REGISTERED, NO_NEWS) as script, Device(script, state) as device:
        assert device.agent.turn()

    assert questions(script) == [""]


def test_who_is_told_to_run_nothing_waits_without_a_number(state: StateFolder):
    """What it had was taken back; nobody signed the number of an answer without assignments."""
    answers = (
        REGISTERED, told(), enveloped(), LINK, Answer(CONTENT), HEARD, plan(version=4), NO_NEWS,
        plan(offer(sequence=5), version=5), HEARD, NO_NEWS,
    )  # fmt: skip
    with scripted(*answers) as script, Device(script, state) as device:
        for _ in range(5):
            assert turn(device)

    assert questions(script) == [
        "wait_s=8.5", "config_version=3&wait_s=8.5", "wait_s=8.5", "wait_s=8.5",
        "config_version=5&wait_s=8.5",
    ]  # fmt: skip


def test_a_server_that_cannot_wait_is_asked_plainly_for_an_hour(state: StateFolder):
    answers = REGISTERED, UNKNOWN, NO_NEWS, NO_NEWS, NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        for device.now_s in (0.0, 1.0, PLAIN_S):
            assert turn(device)

    assert questions(script) == ["wait_s=8.5", "", "", "wait_s=8.5"]


def test_what_is_refused_without_waiting_too_is_an_error(state: StateFolder):
    with (
        scripted(REGISTERED, UNKNOWN) as script,
        Device(script, state) as device,
        pytest.raises(BadRequestError),
    ):
        turn(device)

    assert questions(script) == ["wait_s=8.5", ""]


def test_a_wait_that_something_in_between_cuts_off_ends_in_a_plain_question(state: StateFolder):
    answers = REGISTERED, AWAY, NO_NEWS, NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        assert [turn(device), turn(device)] == [True, True]

    assert questions(script) == ["wait_s=8.5", "", "wait_s=8.5"]
    assert len(device.lines) == 1  # who it is


class NoThread(threading.Thread):
    """A thread too many."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_without_a_thread_to_spare_it_asks_plainly(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
):
    with scripted(REGISTERED, NO_NEWS) as script, Device(script, state) as device:
        with monkeypatch.context() as patch:
            patch.setattr(stopping, "Thread", NoThread)
            assert turn(device)
        assert turn(device)

    assert questions(script) == ["", "wait_s=8.5"]


def test_a_token_that_ended_during_a_wait_is_renewed(state: StateFolder):
    answers = REGISTERED, REFUSED, Answer(TOKENS), NO_NEWS
    with scripted(*answers) as script, Device(script, state) as device:
        assert turn(device)

    assert questions(script) == ["wait_s=8.5", "wait_s=8.5"]
    assert script.asked[-1].headers["authorization"] == "Bearer new"


class Resting(Stop):
    """Notes how long it is rested, and does not; it stops after a number of times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.rests: list[float] = []
        self._times = times

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.rests.append(timeout)
        if len(self.rests) == self._times:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("answer", [NO_NEWS, plan(), UNKNOWN], ids=["no news", "news", "refused"])
def test_an_early_answer_is_no_reason_to_ask_more_often(state: StateFolder, answer: Answer):
    stop = Resting(20)
    with scripted(REGISTERED, answer) as script, Device(script, state) as device:
        device.agent._pace = Pace(poll_s=10.0)
        device.agent.run(stop)

    assert len(script.asked) == 1 + len(questions(script))
    assert all(8.0 <= rest <= 12.0 for rest in stop.rests)
    assert len(set(stop.rests)) > 10  # a fleet does not ask together


def test_the_time_that_the_server_waited_is_no_rest(state: StateFolder, monkeypatch):
    stop = Resting(3)
    with scripted(REGISTERED, NO_NEWS) as script, Device(script, state) as device:
        device.agent._pace = Pace(poll_s=10.0)
        ask = device.agent._questions.ask

        def wait_to_the_end(known: int | None, wait: Wait):
            device.now_s += wait.seconds
            return ask(known, wait)

        monkeypatch.setattr(device.agent._questions, "ask", wait_to_the_end)
        device.agent.run(stop)

    assert len(questions(script)) == 3
    assert stop.rests == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


def test_stop_ends_a_question_that_is_held(state: StateFolder):
    asked, ends = threading.Event(), threading.Event()

    with scripted(REGISTERED, NO_NEWS) as script, Device(script, state) as device:
        device.agent._pace = Pace(poll_s=50.0)
        answer = script.next

        def hold() -> Answer:
            if len(script.asked) == 2:
                asked.set()
                assert ends.wait(PATIENCE_S)
            return answer()

        script.next = hold
        runs = threading.Thread(target=device.agent.run, args=(device.stop,))
        runs.start()
        assert asked.wait(PATIENCE_S)
        device.stop.set()
        runs.join(PATIENCE_S)
        is_over, was_answered = not runs.is_alive(), ends.is_set()
        ends.set()

    assert (is_over, was_answered) == (True, False)
    assert questions(script)[0].startswith("wait_s=")
    assert len(device.lines) == 1  # that it was interrupted is nothing to tell


def test_what_was_stopped_before_waits_for_nothing():
    stop, ends = Stop(), threading.Event()
    stop.set()

    with pytest.raises(StoppedError):
        unless_stopped(stop, ends.wait)
    ends.set()


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)])
def test_what_goes_wrong_is_raised_where_it_is_waited_for(error: BaseException):
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        unless_stopped(Stop(), fail)

    assert raised.value is error
