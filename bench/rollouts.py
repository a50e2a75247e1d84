"""Rollouts to 100,000 simulated devices: a seeded campaign.

`bench.fleets` says what the devices are like; the decisions are those of `octomil.rollouts`. The
plan is the documented call: to 10 % first, in steps of 10.
`tests/unit/octomil/rollouts/test_campaign.py` runs a sample of it.
"""

from collections import Counter

from bench.fleets import TICK, Course, World, courses_on_all_cores
from bench.report import Budget, Row, median
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import RolloutState

COVERS = ("octomil/rollouts", "epochly/inference/statistics")

RUNS = 200
FEW = 0.02
"""The share of the fleet that a bad version may reach."""


def run(quick: bool) -> list[Row]:
    """Simulate; a quick run proves that it works and measures little."""
    runs = 4 if quick else RUNS
    few = max(2, runs // 8)
    return [
        *_bad_rows("+5 points of failing devices", World(extra_failures=0.05), runs, 95),
        *_bad_rows("+5 points of failing requests", World(extra_errors=0.05), few, None),
        *_bad_rows("latency +30 %", World(slowdown=0.3), few, None),
        *_bad_rows(
            "+5 points where 5 % fail anyway", World(failures=0.05, extra_failures=0.05), few, None
        ),
        *_bad_rows("+3 points of failing devices", World(extra_failures=0.03), few, None),
        *_good_rows("good version", World(), runs, 1),
        *_good_rows("good version, 0.2 % turn against it", World(turncoats=0.002), few, None),
        *_good_rows("good version, latency +8 %", World(slowdown=0.08), few, None),
        *_good_rows("good version, 10,000 devices", World(devices=10_000), few, None),
        *_bad_rows(
            "+5 points, 10,000 devices", World(devices=10_000, extra_failures=0.05), few, None
        ),
    ]


def _bad_rows(name: str, world: World, runs: int, wanted: float | None) -> list[Row]:
    found = courses_on_all_cores(world, Plan(), runs)
    caught = sum(each.is_caught_below(FEW) for each in found)
    went_on = sum(_goes_on(each) for each in found)
    took = median([100 * each.took for each in found])
    minutes = median([each.ticks * TICK.total_seconds() / 60 for each in found])
    note = (
        f"{runs} runs of {world.devices:,} devices: {_ends(found)}; at the end {took:.2f} % had "
        f"taken it, at most {100 * max(each.took for each in found):.2f} %; "
        f"median {minutes:.0f} minutes"
    )
    return [
        Row(
            metric=f"{name}, rolled back before {FEW:.0%} took it",
            unit="%",
            ours=100 * caught / runs,
            higher_is_better=True,
            budget=Budget("ours", "at least", wanted) if wanted else None,
            note=note,
        ),
        Row(metric=f"{name}, passed a step", unit="%", ours=100 * went_on / runs),
    ]


def _good_rows(name: str, world: World, runs: int, allowed: float | None) -> list[Row]:
    found = courses_on_all_cores(world, Plan(), runs)
    rolled_back = sum(each.state is RolloutState.ROLLED_BACK for each in found)
    completed = [each for each in found if each.state is RolloutState.COMPLETED]
    hours = median([each.ticks * TICK.total_seconds() / 3_600 for each in completed])
    note = f"{runs} runs of {world.devices:,} devices: {_ends(found)}"
    if hours is not None:
        note += f"; median {hours:.1f} hours to the end"
    return [
        Row(
            metric=f"{name}, rolled back",
            unit="%",
            ours=100 * rolled_back / runs,
            budget=Budget("ours", "at most", allowed) if allowed else None,
            note=note,
        ),
        Row(
            metric=f"{name}, completed by itself",
            unit="%",
            ours=100 * len(completed) / runs,
            higher_is_better=True,
        ),
    ]


def _goes_on(course: Course) -> bool:
    return course.progress.step > 1 or course.state is RolloutState.COMPLETED


def _ends(found: list[Course]) -> str:
    counts = Counter(each.state.value.replace("_", " ") for each in found)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())
