"""Orchestrators that act at the same moment on one rollout: schedules drawn at random, seeded.

Two orchestrators and a person look, decide and store in turns that the schedule interleaves as it
likes; clocks differ, and any orchestrator may be killed between any two of its steps. What they
share is a cell that takes a change only if nobody was faster, as the store does.
`tests/unit/octomil/rollouts/test_campaign.py` runs a sample of it.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bench.report import Budget, Row
from octomil.rollouts import commands
from octomil.rollouts.controller import decide
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.plan import Pacing, Plan, PlanError
from octomil.rollouts.states import (
    TRANSITIONS,
    Action,
    Progress,
    Transition,
    TransitionError,
)

COVERS = ("octomil/rollouts",)

SCHEDULES = 10_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Plan(
    rollout_percentage=20,
    increment_step=20,
    dwell_s=60,
    patience_s=3_600,
    pacing=Pacing(first_percentage=5, interval_s=30),
)
POINTS = ("looked", "observed", "decided", "stored")

_SKEW_S = 20
_TURNS = 150


def run(quick: bool) -> list[Row]:
    """Run many schedules; a quick run proves that it works."""
    found = interleave(40 if quick else SCHEDULES)
    kills = ", ".join(
        f"{count:,} when it had {point}" for point, count in found.kills.most_common()
    )
    ends = ", ".join(f"{count:,} {state}" for state, count in found.ends.most_common())
    taken = ", ".join(f"{count:,} {action}" for action, count in found.taken.most_common())
    return [
        Row(
            metric=f"violations in {found.schedules:,} interleavings of two orchestrators",
            unit="",
            ours=float(found.violations),
            budget=Budget("ours", "at most", 0),
            note=(
                f"{found.lost:,} changes came too late and {taken} took effect; orchestrators "
                f"killed: {kills}; at the end: {ends}"
            ),
        )
    ]


@dataclass
class Cell:
    """Where the progress is kept.

    Args:
        compares: False for a broken one, which takes whatever comes.
    """

    compares: bool = True
    progress: Progress = field(default_factory=Progress)
    history: list[Transition] = field(default_factory=list)
    lost: int = 0

    def swap(self, transition: Transition) -> bool:
        if self.compares and self.progress.revision != transition.before.revision:
            self.lost += 1
            return False
        self.progress = transition.after
        self.history.append(transition)
        return True


@dataclass
class Schedule:
    """One run: who acts when, by its seed."""

    seed: int
    compares: bool = True

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.cell = Cell(self.compares)
        self.now = BEGIN
        self.is_bad = self.draw.random() < 0.3
        self.kills: Counter[str] = Counter()
        started = commands.start(PLAN, Progress(), now=BEGIN, actor="person")
        assert started
        assert self.cell.swap(started)

    def run(self) -> list[str]:
        """Let them all act; returns what went wrong."""
        runs: list[Callable[[], Iterator[str]]] = [self.orchestrate, self.orchestrate, self.meddle]
        actors = [(run, run()) for run in runs]
        at = ["", "", ""]
        for _ in range(_TURNS):
            who = self.draw.randrange(3)
            run, steps = actors[who]
            if run == self.orchestrate and self.draw.random() < 0.02:
                self.kills[at[who] or "started"] += 1
                actors[who] = run, run()
                continue
            at[who] = next(steps)
            self.now += timedelta(seconds=self.draw.choice((0, 0, 1, 10, 40)))
        return violations(self.cell)

    def orchestrate(self) -> Iterator[str]:
        skew = timedelta(seconds=self.draw.uniform(-_SKEW_S, _SKEW_S))
        while True:
            progress = self.cell.progress
            yield "looked"
            observation = self.observe()
            yield "observed"
            found = decide(PLAN, progress, observation, self.now + skew)
            yield "decided"
            if isinstance(found, Transition):
                self.cell.swap(found)
            yield "stored"

    def meddle(self) -> Iterator[str]:
        while True:
            progress = self.cell.progress
            yield "looked"
            wanted = self.command(progress)
            yield "decided"
            if wanted is not None:
                self.cell.swap(wanted)
            yield "stored"

    def command(self, progress: Progress) -> Transition | None:
        now, draw = self.now, self.draw
        share = draw.choice((10, 30, 50, 100))
        commanded: tuple[Callable[[], Transition | None], ...] = (
            lambda: None,
            lambda: commands.pause(progress, now=now, actor="person"),
            lambda: commands.resume(progress, now=now, actor="person"),
            lambda: commands.resume(progress, now=now, actor="person"),
            lambda: commands.advance(PLAN, progress, now=now, actor="person"),
            lambda: commands.set_percentage(PLAN, progress, share, now=now, actor="person"),
        )
        try:
            return draw.choice(commanded)()
        except (TransitionError, PlanError):
            return None

    def observe(self) -> Observation:
        devices = self.draw.choice((0, 100, 500, 2_000))
        failed = devices // 8 if self.is_bad and self.draw.random() < 0.2 else devices // 50
        return Observation(
            fleet=10_000,
            candidate=Arm(devices=devices, failed=failed),
            baseline=Arm(devices=5_000, failed=100),
        )


def violations(cell: Cell) -> list[str]:
    """What must never be in a history, however it came about."""
    found = []
    before = Progress()
    for entry in cell.history:
        if entry.before != before:
            found.append(
                f"{entry.action} starts from another progress than the one before it ended"
            )
        if entry.after.revision != entry.before.revision + 1:
            found.append(f"{entry.action} leaves revision {entry.after.revision}")
        if TRANSITIONS[entry.action].get(entry.before.state) is not entry.after.state:
            found.append(f"{entry.action} from {entry.before.state} to {entry.after.state}")
        found += _wrong_alone(entry)
        before = entry.after
    steps = [entry.after.step for entry in cell.history if entry.action is Action.ADVANCE]
    if len(steps) != len(set(steps)):
        found.append("a step was taken twice")
    return found


def _wrong_alone(entry: Transition) -> list[str]:
    """What one entry alone must not do."""
    found = []
    before, after = entry.before, entry.after
    if after.step not in {before.step, before.step + 1}:
        found.append(f"{entry.action} takes {after.step - before.step} steps at once")
    is_lowered = entry.action is Action.LOWER
    if after.offered_percentage < before.offered_percentage and not is_lowered:
        found.append(f"{entry.action} takes the version from devices")
    if after.offered_percentage > max(after.percentage, before.offered_percentage):
        found.append(f"{entry.action} offers more than its step's share")
    return found


@dataclass(frozen=True)
class Found:
    """What many schedules came to.

    Attributes:
        lost: changes that came too late, and had no effect.
        ends: where the rollouts stood at the end.
        kills: orchestrators killed, by what they had done last.
        taken: the transitions that took effect.
    """

    schedules: int
    violations: int
    lost: int
    ends: Counter[str]
    kills: Counter[str]
    taken: Counter[str]


def interleave(schedules: int, *, first_seed: int = 0) -> Found:
    """Run many schedules and count what went wrong, where orchestrators died, and how it ended."""
    wrong, lost = 0, 0
    ends, kills, taken = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(first_seed, first_seed + schedules):
        schedule = Schedule(seed)
        wrong += len(schedule.run())
        ends[schedule.cell.progress.state.value] += 1
        kills += schedule.kills
        lost += schedule.cell.lost
        taken.update(entry.action.value for entry in schedule.cell.history)
    return Found(schedules, wrong, lost, ends, kills, taken)
