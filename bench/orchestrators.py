"""Orchestrators that act at the same moment on one rollout: schedules drawn at random, seeded.

`bench.schedules` says who acts, on what, and where it is suspended; what is stored at the end of
each is looked at. `tests/faults/test_interleavings.py` runs a sample, and one without what keeps
orchestrators from acting twice.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from multiprocessing import get_context
from pathlib import Path

from rich.progress import track

from bench.cpu import usable_cores
from bench.report import Budget, Row
from bench.schedules import Found, Place, Schedule

COVERS = ("octomil/rollouts", "octomil/control")

SCHEDULES = 10_000
A_PLACE = 200
"""Schedules that share a database: looks at all rollouts cost more the more there were."""

_SHARED_MEMORY = Path("/dev/shm")


def run(quick: bool) -> list[Row]:
    """Run many schedules; a quick run proves that it works."""
    found = interleave_all(range(40 if quick else SCHEDULES))
    kills = ", ".join(f"{count:,} {stop}" for stop, count in found.kills.most_common())
    ends = ", ".join(f"{count:,} {state}" for state, count in found.ends.most_common())
    taken = ", ".join(f"{count:,} {action}" for action, count in found.taken.most_common())
    return [
        Row(
            metric=f"violations in {found.schedules:,} interleavings of two orchestrators",
            unit="",
            ours=float(len(found.wrong)),
            budget=Budget("ours", "at most", 0),
            note=(
                f"{found.lost:,} transitions of orchestrators came too late, {found.refused:,} "
                f"commands were refused, and {taken} took effect; orchestrators killed: {kills}; "
                f"at the end: {ends}" + "".join(f"; {each}" for each in found.wrong[:5])
            ),
        )
    ]


def interleave_all(seeds: range) -> Found:
    """Run schedules in as many processes as there are cores; show how far they are."""
    found = Found()
    groups = [seeds[start : start + A_PLACE] for start in range(0, len(seeds), A_PLACE)]
    with ProcessPoolExecutor(len(usable_cores()), mp_context=get_context("spawn")) as pool:
        done = pool.map(interleave, groups)
        for each in track(done, "interleavings", total=len(groups)):
            found.add(each)
    return found


def interleave(seeds: Sequence[int]) -> Found:
    """Run schedules in one database, in memory where there is such a folder."""
    found = Found()
    above = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with ExitStack() as opened:
        made = tempfile.TemporaryDirectory(prefix="octomil-bench", dir=above)
        place = opened.enter_context(closing(Place(Path(opened.enter_context(made)))))
        for seed in seeds:
            schedule = Schedule(place, seed)
            schedule.run()
            found.add(schedule.found)
    return found
