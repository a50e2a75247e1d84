"""What a device does by itself when a release that it activated fails, against a real server."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.releases import Release, Releases
from octomil.device.slots import SlotBook, Slots
from octomil.device.state import StateFolder
from octomil.device.stopping import Stop
from octomil.errors import (
    EngineError,
    EngineUnavailableError,
    InsufficientSpaceError,
    OctomilError,
)
from octomil.registry.manifest import Manifest, digest_of, hex_of
from support.device_agent import (
    CONTENT,
    FILES,
    HEARD,
    LINK,
    NO_NEWS,
    PAYLOAD,
    REGISTERED,
    Device,
    attested,
    enveloped,
    offer,
    plan,
    told,
)
from support.scripted import Answer, problem, scripted

BETTER = Manifest(name="mnist", version="1.0.0", files=FILES, lineage=(), created="y").payload()
FETCHED = enveloped(), LINK, Answer(CONTENT)
OLD, NEW = digest_of(PAYLOAD), digest_of(BETTER)
FIRST = REGISTERED, told(), *FETCHED, HEARD
SECOND = plan(offer(BETTER, sequence=4), version=4), enveloped(BETTER), LINK, Answer(CONTENT), HEARD
SAME = plan(offer(BETTER, sequence=4), version=4)
TOLD_BACK = HEARD, HEARD


class Sick(LinkActivator):
    """Says of one digest that it is not well."""

    sick: str | None = None

    def problem(self, model_id: str) -> str | None:
        return "half of the requests fail" if self.running(model_id) == self.sick else None


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda digest: monkeypatch.setattr(Sick, "sick", digest)


def running(state: StateFolder) -> str | None:
    return LinkActivator(state).running("m")


def kept(state: StateFolder) -> set[str]:
    return {f"sha256:{each.name}" for each in state.releases.iterdir()}


def test_what_ran_before_is_kept_and_what_ran_before_that_is_not(state: StateFolder):
    third = Manifest(name="mnist", version="1.0.0", files=FILES, lineage=(), created="z").payload()
    following = plan(offer(third, sequence=5), version=5), enveloped(third), LINK, Answer(CONTENT)
    with scripted(*FIRST, *SECOND, *following, HEARD) as script, Device(script, state) as device:
        assert [device.agent.turn(), device.agent.turn()] == [True, True]
        assert kept(state) == {OLD, NEW}
        assert device.agent.turn()

    assert kept(state) == {NEW, digest_of(third)}


def test_what_fails_while_it_is_watched_is_taken_back_and_told(state: StateFolder, sick: Callable):
    answers = *FIRST, *SECOND, *TOLD_BACK, SAME, SAME
    with scripted(*answers) as script, Device(script, state, Sick) as device:
        assert [device.agent.turn(), device.agent.turn()] == [True, True]
        sick(NEW)
        assert [device.agent.turn(), device.agent.turn()] == [False, False]
        assert running(state) == OLD
        assert kept(state) == {OLD}

    assert attested(script)[2:] == [(NEW, "failed"), (OLD, "active")]
    failed = script.asked[-4].json
    assert (failed["code"], failed["message"]) == ("does_not_run", "half of the requests fail")


def test_what_was_taken_back_is_tried_again_once_something_else_was_assigned(
    state: StateFolder, sick: Callable
):
    """Its number alone means nothing: that grows with every change of the fleet's plan."""
    other = plan(offer(BETTER, sequence=5), version=5)
    between = plan(offer(sequence=6), version=6), HEARD
    again = plan(offer(BETTER, sequence=7), version=7), enveloped(BETTER), LINK, Answer(CONTENT)
    answers = *FIRST, *SECOND, *TOLD_BACK, SAME, other, *between, *again, HEARD
    with scripted(*answers) as script, Device(script, state, Sick) as device:
        device.agent.turn()
        device.agent.turn()
        sick(NEW)
        assert [device.agent.turn(), device.agent.turn()] == [False, False]
        sick("")
        assert [device.agent.turn(), device.agent.turn()] == [True, True]

    assert running(state) == NEW
    assert SlotBook(state).of("m").previous == OLD


def test_a_device_that_is_offline_goes_back_and_tells_it_after_a_restart(
    state: StateFolder, sick: Callable
):
    away = problem("service_unavailable", 503, headers={"Retry-After": "3600"})
    with scripted(*FIRST, *SECOND, away) as script, Device(script, state, Sick) as device:
        device.agent.turn()
        device.agent.turn()
        sick(NEW)
        device.stop = Stop()
        device.agent.run(device.stop)
        assert running(state) == OLD

    with scripted(REGISTERED, *TOLD_BACK, SAME) as script, Device(script, state, Sick) as device:
        assert not device.agent.turn()

    assert attested(script) == [(NEW, "failed"), (OLD, "active")]


@pytest.mark.parametrize("waited_s", [0, 601])
def test_what_ran_before_and_is_assigned_again_does_not_go_back_to_what_was_withdrawn(
    state: StateFolder, sick: Callable, waited_s: int
):
    """Whether or not that was on probation still."""
    back = plan(offer(sequence=5), version=5), HEARD
    beat = () if waited_s == 0 else (HEARD,)
    with (
        scripted(*FIRST, *SECOND, *beat, *back, plan(version=5, updated=False)) as script,
        Device(script, state, Sick) as device,
    ):
        device.agent.turn()
        device.agent.turn()
        device.now_s = waited_s
        assert device.agent.turn()
        assert SlotBook(state).of("m") == Slots()
        sick(OLD)
        assert device.agent.turn()

    assert running(state) == OLD
    assert attested(script) == [(OLD, "active"), (NEW, "active"), (OLD, "active")]


def test_a_return_that_does_not_work_out_leaves_the_way_back_open(state: StateFolder):
    class Stuck(LinkActivator):
        def activate(self, release: Release) -> None:
            if device.is_stuck:
                raise OSError(errno.EIO, "the disk is broken")
            super().activate(release)

    back = plan(offer(sequence=5), version=5)
    with scripted(*FIRST, *SECOND, back) as script, Device(script, state, Stuck) as device:
        device.is_stuck = False
        device.agent.turn()
        device.agent.turn()
        device.is_stuck = True
        assert not device.agent.turn()

    slots = SlotBook(state).of("m")
    assert running(state) == NEW
    assert slots.previous == OLD
    assert slots.trial is not None


def test_what_was_taken_back_and_has_no_way_back_now_is_told_once_in_a_while(
    state: StateFolder, sick: Callable
):
    class Stuck(Sick):
        def activate(self, release: Release) -> None:
            if self.sick == NEW:
                raise OSError(errno.EIO, "the disk is broken")
            super().activate(release)

    answers = *FIRST, *SECOND, HEARD, SAME
    with scripted(*answers) as script, Device(script, state, Stuck) as device:
        device.agent.turn()
        device.agent.turn()
        sick(NEW)
        for _ in range(4):
            assert not device.agent.turn()

    assert running(state) == NEW
    assert attested(script)[2:] == [(NEW, "failed")]


def test_what_got_through_its_probation_is_not_taken_back(state: StateFolder, sick: Callable):
    with (
        scripted(*FIRST, *SECOND, HEARD, NO_NEWS, NO_NEWS) as script,
        Device(script, state, Sick) as device,
    ):
        device.agent.turn()
        device.agent.turn()
        device.now_s = device.pace.probation_s + 1
        device.agent.turn()
        sick(NEW)
        device.agent.turn()

    assert running(state) == NEW
    assert attested(script) == [(OLD, "active"), (NEW, "active")]


def test_a_probation_lasts_as_long_as_the_rollout_s_window(state: StateFolder, sick: Callable):
    window = Answer({"confirmed_after_s": 10_000})
    beat = HEARD
    answers = *FIRST, *SECOND[:-1], window, beat, NO_NEWS, beat, *TOLD_BACK, SAME
    with scripted(*answers) as script, Device(script, state, Sick) as device:
        device.agent.turn()
        device.agent.turn()
        device.now_s = 2_000
        device.agent.turn()
        sick(NEW)
        device.now_s = 3_000
        device.agent.turn()

    assert running(state) == OLD


def test_a_first_release_has_nothing_to_go_back_to_and_is_told(state: StateFolder, sick: Callable):
    with scripted(*FIRST, HEARD, told()) as script, Device(script, state, Sick) as device:
        device.agent.turn()
        sick(OLD)
        assert not device.agent.turn()

    assert running(state) == OLD
    assert attested(script) == [(OLD, "active"), (OLD, "failed")]


def test_what_is_to_be_gone_back_to_and_is_damaged_is_not_run(state: StateFolder, sick: Callable):
    answers = *FIRST, *SECOND, HEARD, SAME
    with scripted(*answers) as script, Device(script, state, Sick) as device:
        device.agent.turn()
        device.agent.turn()
        weights = state.releases / hex_of(OLD) / "onnx"
        weights.chmod(0o600)
        weights.write_bytes(b"rotten!")
        sick(NEW)
        assert not device.agent.turn()

    assert running(state) == NEW
    assert any("no way back" in line for line in device.lines)


class Tried:
    """A trial that some digests do not pass."""

    def __init__(self, **faults: Exception) -> None:
        self.faults = faults
        self.tried: list[str] = []

    def __call__(self, release: Release) -> list[str]:
        self.tried.append(release.digest)
        fault = self.faults.get(release.digest)
        if fault is not None:
            raise fault
        return ["coreml was not tried"]


def test_what_fails_its_trial_never_runs(state: StateFolder):
    trial = Tried(**{NEW: EngineError("it crashed")})
    with (
        scripted(*FIRST, *SECOND) as script,
        Device(script, state, trial=trial) as device,
    ):
        assert [device.agent.turn(), device.agent.turn()] == [True, False]

    assert running(state) == OLD
    assert attested(script) == [(OLD, "active"), (NEW, "failed")]
    assert script.asked[-1].json["code"] == "does_not_run"
    assert "m 1.0.0: coreml was not tried" in device.lines


@pytest.mark.parametrize(
    "error", [EngineUnavailableError("it is busy"), InsufficientSpaceError("no memory is left")]
)
def test_a_trial_that_fails_later_takes_the_release_back(state: StateFolder, error: OctomilError):
    trial = Tried()
    beat = HEARD
    answers = *FIRST, *SECOND, beat, NO_NEWS, beat, *TOLD_BACK, SAME
    with scripted(*answers) as script, Device(script, state, trial=trial) as device:
        device.agent.turn()
        device.agent.turn()
        trial.faults[NEW] = error
        device.now_s = device.pace.retry_s
        device.agent.turn()
        assert running(state) == NEW
        trial.faults[NEW] = EngineError("it crashed")
        device.now_s = 3 * device.pace.retry_s
        device.agent.turn()

    assert running(state) == OLD
    assert trial.tried == [OLD, NEW, NEW, NEW]
    assert attested(script)[2:] == [(NEW, "failed"), (OLD, "active")]


def test_a_trial_that_cannot_be_held_is_not_attested(state: StateFolder):
    trial = Tried(**{OLD: EngineUnavailableError("it is busy")})
    with scripted(*FIRST[:-1]) as script, Device(script, state, trial=trial) as device:
        assert not device.agent.turn()

    assert attested(script) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"m": 1}', '{"m": {"trial": {}}}'])
def test_a_book_that_is_damaged_is_an_empty_one(state: StateFolder, text: str):
    with scripted(*FIRST, *SECOND) as script, Device(script, state) as device:
        device.agent.turn()
        device.agent.turn()
    assert json.loads(Path(state.slots).read_text())["m"]["previous"] == OLD
    state.slots.write_text(text)

    with scripted(REGISTERED, SAME, HEARD) as script, Device(script, state) as device:
        assert device.agent.turn()

    assert running(state) == NEW


def test_a_pause_keeps_it_from_what_was_assigned_a_while_ago(state: StateFolder):
    """While it fetched the first of two, the second was withdrawn."""
    both = plan(offer(), offer(BETTER, "n"))

    class Slow(LinkActivator):
        def activate(self, release: Release) -> None:
            super().activate(release)
            device.now_s += 100

    answers = REGISTERED, both, *FETCHED, HEARD, plan(offer(), version=4)
    with scripted(*answers) as script, Device(script, state, Slow) as device:
        assert not device.agent.turn()

    assert kept(state) == {OLD}
    assert attested(script) == [(OLD, "active")]


@pytest.mark.parametrize(
    ("now", "expected"),
    [(plan(offer(sequence=5), version=5), OLD), (plan(version=5, held=[NEW]), NEW),
     (plan(version=5), OLD), (plan(version=5, held=[OLD, "m"]), OLD),
     (plan(offer(BETTER, sequence=5), version=5), NEW), (plan(version=4, updated=False), NEW)],
    ids=["rolled back", "paused", "withdrawn", "another version paused",
         "another number", "no news"],
)  # fmt: skip
def test_what_was_withdrawn_while_it_was_fetched_is_not_activated(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch, now: Answer, expected: str
):
    """A pause ends nothing that was begun."""
    obtain = Releases.obtain

    def obtain_slowly(self: Releases, *args: Any, **more: Any) -> Release:
        release = obtain(self, *args, **more)
        device.now_s += 100
        return release

    answers = *FIRST, *SECOND[:-1], now, HEARD
    with scripted(*answers) as script, Device(script, state) as device:
        device.agent.turn()
        monkeypatch.setattr(Releases, "obtain", obtain_slowly)
        assert device.agent.turn() == (expected == NEW)

    assert running(state) == expected
    assert attested(script)[1:] == ([(NEW, "active")] if expected == NEW else [])
