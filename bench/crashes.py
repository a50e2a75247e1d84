"""A control plane that is killed 200 times, at named points and at random times.

After each kill it is started again, and everything that clients were told is looked at, as are the
database, the audit, the manifests and the files. `tests/faults/test_crash_points.py` runs a sample.
"""

import random
import tempfile
from collections import Counter
from pathlib import Path

from bench.crash_points import POINTS
from bench.crash_series import CLIENTS, RANDOM_TIME, Series
from bench.report import Budget, Row, compare, median

COVERS = ("octomil/asgi", "octomil/control", "octomil/convert", "octomil/compose_control.py")

SEED = 20_261_121
KILLS, HITS = 200, 5


def run(quick: bool) -> list[Row]:
    """Die at every point, and at random times; a quick run takes each point once."""
    hits: Counter[str] = Counter()
    restarts_s: list[float] = []
    restarts_cpu_s: list[float] = []
    least, kills = (1, 0) if quick else (HITS, KILLS)
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as name:
        for number, points in enumerate(schedule(least, kills, chance)):
            series = Series(Path(name) / f"data-{number}", chance)
            series.run(points)
            hits += series.hits
            restarts_s += series.restarts_s
            restarts_cpu_s += series.restarts_cpu_s
            print(f"  {hits.total()} kills, slowest start {max(restarts_s):.2f} s", flush=True)
    return [
        *_counts(hits, least, kills),
        Row(
            metric="start after a kill, exec to /ready, at the worst",
            unit="s",
            ours=max(restarts_s),
            budget=Budget("ours", "at most", 2),
            note=f"median {median(restarts_s):.2f} s of {len(restarts_s)}",
            rounds={"ours": restarts_s},
        ),
        compare("CPU of such a start", "s", {"ours": restarts_cpu_s}),
    ]


def schedule(least: int, kills: int, chance: random.Random) -> list[list[str]]:
    """Return what is to happen in each of some folders: points, and kills at random times.

    Args:
        least: how often each point is to be met.
        kills: how many there are to be in all; those of the points may be more.
        chance: in which order.
    """
    starts = [name for name, point in POINTS.items() if point.at_start] * least
    # Garbage is collected where a whole life was lived before, which one of these makes certain.
    blocks = [
        [RANDOM_TIME, name] if name.startswith("gc.") else [name]
        for name, point in POINTS.items()
        if not point.at_start
    ] * least
    planned = len(starts) + sum(map(len, blocks))
    blocks += [[RANDOM_TIME]] * max(0, kills - planned)
    chance.shuffle(blocks)
    return [
        [start, *(point for block in blocks[number :: len(starts)] for point in block)]
        for number, start in enumerate(starts)
    ]


def _counts(hits: Counter[str], least: int, kills: int) -> list[Row]:
    counted = ", ".join(f"{name} {hits[name]}" for name in [*POINTS, RANDOM_TIME])
    return [
        Row(
            metric="kill -9 after which all checks hold",
            unit="",
            ours=hits.total(),
            budget=Budget("ours", "at least", kills),
            note=f"{CLIENTS} clients at work; {counted}",
        ),
        Row(
            metric="hits of the point that was met least often",
            unit="",
            ours=min(hits[name] for name in POINTS),
            budget=Budget("ours", "at least", least),
        ),
    ]
