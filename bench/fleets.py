"""A simulated fleet, seeded, that a rollout's controller decides about; arrays, one tick at a time.

Only the devices are simulated. Who is offered the version is told by `rollouts.bucket_arrays`, who
counts by `rollouts.evidence`, and what happens next by `rollouts.controller`: the code that serves.

What a device is, as far as its reports go:

- a share is offline at any moment, goes and comes back;
- a few are broken before the rollout begins;
- on the old version some fall ill in any health window, on the new one as many, and `extra` more;
- a share lies, each in one of four ways: always well; the opposite of the truth; a coin; or a
  digest that it does not run. It does so before the rollout as well.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial

import numpy as np

from bench.cpu import usable_cores
from epochly.inference.statistics import Moments
from epochly.inference.statistics.intervals import BoolArray, FloatArray, IntArray
from octomil.rollouts import commands
from octomil.rollouts.bucket_arrays import included, places_of
from octomil.rollouts.controller import Wait, decide
from octomil.rollouts.evidence import Arm, Observation, counted
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import Progress, RolloutState, Transition

TICK = timedelta(minutes=10)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

_HONEST, _ALWAYS_WELL, _OPPOSITE, _COIN, _OTHER_DIGEST = range(5)
_LONGEST_WINDOW = 3  # ticks from the offer to the end of the health window
_REQUESTS = 20  # of each device in its window


@dataclass(frozen=True, kw_only=True)
class World:
    """What the devices are like, and what the new version does to them.

    Args:
        failures: share that falls ill in a health window, whatever it runs.
        extra_failures: how many more of those that run the new version.
        extra_errors: how many more of its requests fail.
        slowdown: by what its latencies grow: 0.1 for 10 %.
        turncoats: share that reported the truth until now, and calls the new version broken.
    """

    devices: int = 100_000
    offline: float = 0.2
    lying: float = 0.05
    failures: float = 0.02
    broken_before: float = 0.01
    errors: float = 0.01
    extra_failures: float = 0.0
    extra_errors: float = 0.0
    slowdown: float = 0.0
    turncoats: float = 0.0
    churn: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a rollout went.

    Attributes:
        took: share of the fleet that had taken the version when the rollout ended or paused.
    """

    progress: Progress
    took: float
    ticks: int
    history: tuple[Transition, ...]

    @property
    def state(self) -> RolloutState:
        return self.progress.state

    def is_caught_below(self, share: float) -> bool:
        """Whether the version was rolled back before more than that share took it."""
        return self.state is RolloutState.ROLLED_BACK and self.took <= share


@cache
def device_ids(devices: int) -> tuple[str, ...]:
    return tuple(f"dev_{number:07d}" for number in range(devices))


@dataclass
class Fleet:
    """The devices of one run. `taken` is the tick at which each took the offer, -1 before."""

    world: World
    seed: int
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        world, n = self.world, self.world.devices
        self.rng = np.random.default_rng(self.seed)
        self.places = places_of(f"rol_{self.seed}", device_ids(n))
        self.online = self.rng.random(n) >= world.offline
        liar = self.rng.random(n) < world.lying
        self.kind = np.where(liar, self.rng.integers(_ALWAYS_WELL, _OTHER_DIGEST + 1, n), _HONEST)
        self.was_healthy = self.told(self.rng.random(n) >= world.broken_before)
        stays_well = self.rng.random(n) >= world.failures + world.extra_failures
        turns = self.rng.random(n) < world.turncoats
        self.says_well = self.told(stays_well) & ~turns
        self.taken = np.full(n, -1)
        self.ends = np.zeros(n, np.int64)
        self.is_over = np.zeros(n, np.bool_)

    def told(self, healthy: BoolArray) -> BoolArray:
        """What the devices say, of what is so; another digest than theirs is as good as broken."""
        coin = self.rng.random(healthy.size) < 0.5
        return np.select(
            [self.kind == kind for kind in (_ALWAYS_WELL, _OPPOSITE, _COIN, _OTHER_DIGEST)],
            [np.ones_like(healthy), ~healthy, coin, np.zeros_like(healthy)],
            healthy,
        )

    def told_shares(self, shares: FloatArray) -> FloatArray:
        """The same of error shares."""
        kinds = [self.kind == _ALWAYS_WELL, self.kind == _OPPOSITE, self.kind == _COIN]
        lies = [np.zeros_like(shares), 1 - shares, self.rng.random(shares.size)]
        return np.select(kinds, lies, shares)

    def pass_tick(self, tick: int, percentage: float, *, is_offering: bool) -> None:
        """Let devices come, go, take the offer and come to an end."""
        world, n = self.world, self.world.devices
        leave = world.churn * world.offline / (1 - world.offline)
        draw = self.rng.random(n)
        self.online = np.where(self.online, draw >= leave, draw < world.churn)
        if is_offering:
            takes = included(self.places, percentage) & self.online & (self.taken < 0)
            self.taken[takes] = tick
            self.ends[takes] = tick + self.windows(self.says_well[takes])
        self.is_over |= (self.taken >= 0) & self.online & (self.ends <= tick)

    def windows(self, says_well: BoolArray) -> IntArray:
        """Ticks until each reports: what fails does so at once, health takes its window."""
        windows = self.rng.integers(2, _LONGEST_WINDOW + 1, says_well.size)
        return np.where(says_well, windows, 1)


@dataclass
class Step:
    """What is seen in one step: what every device would report, and which of the old have."""

    fleet: Fleet
    tick: int

    def __post_init__(self) -> None:
        fleet, world, n = self.fleet, self.fleet.world, self.fleet.world.devices
        rng = fleet.rng
        self.may_report_old = (fleet.taken < 0) & fleet.was_healthy
        self.old_healthy = fleet.told(rng.random(n) >= world.failures)
        self.old_ends = self.tick + fleet.windows(self.old_healthy)
        self.old_reported = np.zeros(n, np.bool_)
        shares = [
            fleet.told_shares(rng.binomial(_REQUESTS, rate, n) / _REQUESTS)
            for rate in (world.errors, world.errors + world.extra_errors)
        ]
        self.old_errors, self.new_errors = shares
        self.old_latencies = rng.normal(np.log(80.0), 0.5, n)
        self.new_latencies = self.old_latencies + np.log1p(world.slowdown)

    def observe(self, tick: int) -> Observation:
        """Everything reported up to a tick."""
        fleet = self.fleet
        has_old = (fleet.taken < 0) & fleet.online
        self.old_reported |= self.may_report_old & has_old & (self.old_ends <= tick)
        takes = fleet.was_healthy & (fleet.taken > self.tick)
        new, old = (self.new_errors, self.new_latencies), (self.old_errors, self.old_latencies)
        return Observation(
            fleet=fleet.world.devices,
            candidate=_arm(
                counted(takes, fleet.is_over), takes & fleet.online, fleet.says_well, *new
            ),
            baseline=_arm(self.old_reported, self.may_report_old & has_old, self.old_healthy, *old),
        )


def _arm(
    ended: BoolArray, begun: BoolArray, healthy: BoolArray, errors: FloatArray, log_ms: FloatArray
) -> Arm:
    well = ended & healthy  # a device that cannot run the version answers no requests
    return Arm(
        devices=int(ended.sum()),
        failed=int((ended & ~healthy).sum()),
        under_way=int((begun & ~ended).sum()),
        error_shares=Moments.of(errors[well]),
        log_latencies=Moments.of(log_ms[well]),
    )


def roll_out(world: World, plan: Plan, seed: int, *, most_ticks: int = 2_000) -> Course:
    """Roll a version out to a fleet, and look at every tick, until it ends or pauses."""
    fleet = Fleet(world, seed)
    started = commands.start(plan, Progress(), now=BEGIN, actor="bench")
    assert started
    history = [started]
    step, progress = Step(fleet, 0), started.after
    tick = 0
    for tick in range(1, most_ticks + 1):
        is_offering = progress.state is RolloutState.ACTIVE
        fleet.pass_tick(tick, progress.offered_percentage, is_offering=is_offering)
        found = decide(plan, progress, step.observe(tick), BEGIN + tick * TICK)
        if isinstance(found, Wait):
            continue
        history.append(found)
        if found.after.step != progress.step:
            step = Step(fleet, tick)
        progress = found.after
        if progress.state is not RolloutState.ACTIVE:
            break
    took = float((fleet.taken >= 0).mean())
    return Course(progress=progress, took=took, ticks=tick, history=tuple(history))


def courses(world: World, plan: Plan, runs: int, *, first_seed: int = 0) -> Iterator[Course]:
    """Roll a version out again and again, each time in another fleet."""
    return map(partial(roll_out, world, plan), range(first_seed, first_seed + runs))


def courses_on_all_cores(world: World, plan: Plan, runs: int) -> list[Course]:
    """The same, as many at once as there are cores; what comes out depends on the seeds alone."""
    with ProcessPoolExecutor(len(usable_cores())) as pool:
        return list(pool.map(partial(roll_out, world, plan), range(runs)))
