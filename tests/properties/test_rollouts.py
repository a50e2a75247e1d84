"""Rollouts: who is in, and a state machine against a simple model."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from octomil.rollouts import commands
from octomil.rollouts.bucket_arrays import included, places_of
from octomil.rollouts.buckets import is_included, place_of
from octomil.rollouts.controller import decide
from octomil.rollouts.device_states import DeviceProgress, DeviceState, Report, heard
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.pacing import first_offer, next_offer
from octomil.rollouts.plan import Pacing, Plan
from octomil.rollouts.states import (
    CONTROLLER,
    TRANSITIONS,
    Action,
    Progress,
    RolloutState,
    Transition,
    TransitionError,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
percentages = st.integers(0, 100_000).map(lambda units: units / 1_000)
shares = st.integers(1, 100_000).map(lambda units: units / 1_000)


@given(texts, st.lists(texts, max_size=20), percentages)
def test_many_devices_are_in_as_each_alone_is(salt: str, ids: list[str], percentage: float):
    places = places_of(salt, ids)

    assert places.tolist() == [place_of(salt, each) for each in ids]
    assert included(places, percentage).tolist() == [is_included(salt, e, percentage) for e in ids]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), percentages, percentages)
def test_a_larger_share_has_every_device_of_a_smaller_one(places, one: float, other: float):
    less, more = sorted((one, other))
    found = np.array(places, np.uint64)

    assert not np.any(included(found, less) & ~included(found, more))


@given(shares, shares, percentages, st.floats(1, 5))
def test_a_step_is_offered_in_waves_up_to_its_share(first, percentage, base, growth):
    pacing = Pacing(first_percentage=first, growth=growth)
    base = min(base, percentage)
    offered = first_offer(pacing, base, percentage)
    waves = 0
    while offered < percentage and waves < 200:
        progress = Progress(base_percentage=base, percentage=percentage, offered_percentage=offered)
        wider = next_offer(pacing, progress)
        assert offered < wider <= percentage
        offered, waves = wider, waves + 1

    assert offered <= percentage
    assert waves == 200 or offered == percentage


@given(st.data())
def test_reports_in_any_order_and_number_never_bring_a_device_back(data):
    """And a device that said it succeeded, with the right digest, was the last to say so."""
    states = list(DeviceState)
    device = DeviceProgress(digest="new", generation=2, since=BEGIN)
    reached = 0
    for _ in range(data.draw(st.integers(0, 20))):
        report = Report(
            generation=data.draw(st.sampled_from((1, 2, 2, 2, 3))),
            state=data.draw(st.sampled_from(states)),
            digest=data.draw(st.sampled_from(("old", "new", None))),
        )
        before, device = device, heard(device, report, BEGIN)
        rank = states.index(device.reached)
        assert rank >= reached
        reached = rank
        assert report.generation == 2 or device is before
        if device.state is DeviceState.SUCCEEDED and before.state is not DeviceState.SUCCEEDED:
            assert report.digest == "new"


PLAN = Plan(
    rollout_percentage=20,
    increment_step=30,
    target_percentage=90,
    dwell_s=100,
    patience_s=1_000,
    pacing=Pacing(first_percentage=5, interval_s=50),
)
OLD = Arm(devices=20_000, failed=400)
ARMS = {
    "good": Arm(devices=2_000, failed=40),
    "unclear": Arm(devices=800, failed=34),
    "bad": Arm(devices=800, failed=80),
    "nothing": Arm(),
}


class RolloutMachine(RuleBasedStateMachine):
    """The rollout against a model that knows three things: its state, its share, its step."""

    @initialize()
    def begin(self):
        self.now = BEGIN
        self.progress = Progress()
        self.state, self.percentage, self.step = "pending", 0.0, 0
        self.history: list[Transition] = []

    def take(self, transition: Transition) -> None:
        assert transition.before == self.progress
        assert transition.at == self.now
        assert TRANSITIONS[transition.action][self.progress.state] is transition.after.state
        self.history.append(transition)
        self.progress = transition.after

    @rule(seconds=st.sampled_from((0, 30, 50, 100, 1_000)))
    def pass_time(self, seconds: int):
        self.now += timedelta(seconds=seconds)

    @rule(seen=st.sampled_from(sorted(ARMS)))
    def look(self, seen: str):
        observation = Observation(fleet=100_000, candidate=ARMS[seen], baseline=OLD)
        found = decide(PLAN, self.progress, observation, self.now)
        again = decide(PLAN, self.progress, observation, self.now)
        assert found == again
        if not isinstance(found, Transition):
            assert seen != "bad" or self.state not in {"active", "paused"}
            return
        assert found.actor == CONTROLLER
        assert self.state in {"active", "paused"}
        expected = {
            "bad": {Action.ROLL_BACK},
            "good": {Action.WIDEN, Action.ADVANCE, Action.COMPLETE},
            "unclear": {Action.PAUSE},
            "nothing": {Action.PAUSE},
        }[seen]
        assert found.action in expected
        if found.action is Action.ADVANCE:
            assert self.progress.offered_percentage == self.percentage, "a step was cut short"
            self.step += 1
            self.percentage = min(90.0, self.percentage + 30)
        self.state = {
            Action.ROLL_BACK: "rolled_back",
            Action.COMPLETE: "completed",
            Action.PAUSE: "paused",
        }.get(found.action, self.state)
        self.take(found)

    def command(self, allowed: dict[str, str], act) -> bool:
        """Do something by hand; returns whether it changed anything, which the model says."""
        if self.state not in allowed:
            with pytest.raises(TransitionError):
                act()
            return False
        found = act()
        if allowed[self.state] == "same":
            assert found is None
            return False
        self.take(found)
        self.state = allowed[self.state]
        return True

    @rule()
    def start(self):
        allowed = {"pending": "active", "active": "same"}
        if self.command(allowed, lambda: commands.start(PLAN, self.progress, **self.by)):
            self.step, self.percentage = 1, 20.0

    @rule()
    def pause(self):
        self.command(
            {"active": "paused", "paused": "same"},
            lambda: commands.pause(self.progress, **self.by),
        )

    @rule()
    def resume(self):
        self.command(
            {"paused": "active", "active": "same"},
            lambda: commands.resume(self.progress, **self.by),
        )

    @rule()
    def advance(self):
        is_last = self.percentage >= 90
        allowed = {"pending": "active", "active": "completed" if is_last else "active"}
        if self.command(allowed, lambda: commands.advance(PLAN, self.progress, **self.by)):
            if self.state == "completed":
                return
            self.percentage = min(90.0, self.percentage + 30) if self.step else 20.0
            self.step += 1

    @rule(percentage=st.sampled_from((0, 10, 50, 90)))
    def set_percentage(self, percentage: float):
        is_same = percentage == self.percentage
        active = "paused" if percentage < self.percentage else "active"
        allowed = {
            "active": "same" if is_same else active,
            "paused": "same" if is_same else "paused",
        }

        def act() -> Transition | None:
            return commands.set_percentage(PLAN, self.progress, percentage, **self.by)

        if self.command(allowed, act):
            self.step += percentage > self.percentage
            self.percentage = percentage

    @rule()
    def roll_back(self):
        open_ones = dict.fromkeys(("pending", "active", "paused", "completed"), "rolled_back")
        self.command(
            open_ones | {"rolled_back": "same"},
            lambda: commands.roll_back(self.progress, **self.by),
        )

    @rule()
    def fail(self):
        self.command(
            {"active": "failed", "paused": "failed", "failed": "same"},
            lambda: commands.fail(self.progress, **self.by, reason="a file is lost"),
        )

    @property
    def by(self) -> dict:
        return {"now": self.now, "actor": "key_1"}

    @invariant()
    def agrees_with_the_model(self):
        progress = self.progress
        assert progress.state == self.state
        assert (progress.step, progress.percentage) == (self.step, self.percentage)
        assert progress.revision == len(self.history)
        assert 0 <= progress.base_percentage <= progress.offered_percentage <= 90
        assert progress.offered_percentage <= progress.percentage

    @invariant()
    def takes_the_version_from_nobody_unasked(self):
        for entry in self.history[-1:]:
            if entry.action is not Action.LOWER:
                assert entry.after.offered_percentage >= entry.before.offered_percentage

    @invariant()
    def has_ended_only_once(self):
        ends = {RolloutState.ROLLED_BACK, RolloutState.FAILED}
        assert sum(entry.after.state in ends for entry in self.history) <= 1


TestRollout = RolloutMachine.TestCase
TestRollout.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
