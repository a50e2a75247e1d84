"""An orchestrator that is killed 200 times, at named points and random ones, while rollouts go on.

`bench.orchestrator_process` is what dies; after each kill the history of every rollout is looked
at, with what must have been stored with it, and the files of all versions.
`tests/faults/test_orchestrator_crashes.py` runs each point once.
"""

import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.orchestrator_process import (
    ANY_STATEMENT,
    MODEL,
    POINTS,
    file_of,
    is_bad,
    loses_its_file,
    open_plane,
)
from bench.process import BenchError
from bench.report import Budget, Row
from bench.rollout_checks import wrong_of, wrong_of_lost
from octomil.compose_control import DEFAULT_ORGANISATION
from octomil.control.plane import ControlPlane
from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.rollouts.states import CONTROLLER, RolloutState, Transition

COVERS = ("octomil/rollouts", "octomil/control")

SEED, KILLS = 20_261_122, 200
_NTH = 6  # the pass to die at, at most
_PASSES = {"take.blocked-before-audit": 1, "files.lost-before-take": 1, ANY_STATEMENT: 3_000}
"""The same, of points that are passed much less or more often."""
_ALL = 10_000
_PATIENCE_S = 300.0


def run(quick: bool) -> list[Row]:
    """Die at every point, again and again; a quick run takes each point once."""
    hits: Counter[str] = Counter()
    wrong: list[str] = []
    points = [*POINTS, ANY_STATEMENT] if quick else _many_points()
    chance = random.Random(SEED)
    chance.shuffle(points)
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        for point in track(points, "kills"):
            die(Path(folder), point, chance)
            hits[point] += 1
            wrong += found_wrong(Path(folder))
        changes = Counter(each.action.value for each in histories(Path(folder)))
    counted = ", ".join(f"{name} {hits[name]}" for name in (*POINTS, ANY_STATEMENT))
    taken = ", ".join(f"{count} {action}" for action, count in changes.most_common())
    return [
        Row(
            metric=f"violated transitions after {len(points)} kill -9 of the orchestrator",
            unit="",
            ours=float(len(wrong)),
            budget=Budget("ours", "at most", 0),
            note=f"{counted}; in all took effect: {taken}" + "".join(f"; {w}" for w in wrong[:5]),
        )
    ]


def _many_points() -> list[str]:
    """Each named point equally often, and a fifth of all kills, or a few more, anywhere."""
    named = list(POINTS) * (KILLS * 4 // 5 // len(POINTS))
    return named + [ANY_STATEMENT] * (KILLS - len(named))


def die(folder: Path, point: str, chance: random.Random) -> None:
    """Let an orchestrator go on in a folder until it is killed at a point.

    Raises:
        BenchError: it ended otherwise.
    """
    nth, seed = chance.randint(1, _PASSES.get(point, _NTH)), chance.random()
    argv = [sys.executable, "-m", "bench.orchestrator_process", str(folder), point, str(nth)]
    done = subprocess.run(
        [*argv, str(seed)], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode != -signal.SIGKILL:
        raise BenchError(f"at {point} it ended with {done.returncode}: {done.stderr[-2000:]}")


def found_wrong(folder: Path) -> list[str]:
    """Look at everything that was stored; return what must not be so."""
    plane = open_plane(folder, lambda: datetime.now(UTC))
    try:
        with plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
            rollouts = tx.rollouts.list(MODEL, None, limit=_ALL)
            acts = defaultdict[str, list[Mapping[str, Any]]](list)
            for each in reversed(tx.audit.page(None, _ALL)):
                acts[each.entry["target"]].append(each.entry)
            wrong = [what for each in rollouts for what in wrong_of(tx, each, acts[each.id])]
            wrong += [what for each in rollouts for what in _wrong_of_files(tx, plane, each)]
            return wrong + _begun_once(acts) + _open_at_once(rollouts)
    finally:
        plane.close()


def histories(folder: Path) -> list[Transition]:
    """All transitions of all rollouts."""
    plane = open_plane(folder, lambda: datetime.now(UTC))
    with plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
        rollouts = tx.rollouts.list(MODEL, None, limit=_ALL)
        found = [one for each in rollouts for one in tx.rollouts.history(each.id, limit=_ALL)]
    plane.close()
    return found


def _wrong_of_files(tx: Transaction, plane: ControlPlane, rollout: Rollout) -> list[str]:
    """What must not be so of a rollout whose file is lost, and what of one whose file is not."""
    history, file = tx.rollouts.history(rollout.id, limit=_ALL), file_of(plane, rollout)
    if not loses_its_file(rollout):
        wrong = wrong_of_lost(history, None)
        if plane.blobs.size(file.digest) != file.size_bytes:
            wrong.append("its file is gone, and nobody took it away")
        return [f"{rollout.id}: {each}" for each in wrong]
    wrong = wrong_of_lost(history, file.digest)
    if any(each.offers_to_more and each.actor == CONTROLLER for each in history):
        wrong.append("more devices were sent for a file that is lost")
    ends = {RolloutState.FAILED} | ({RolloutState.ROLLED_BACK} if is_bad(rollout) else set())
    if not rollout.state.is_open and rollout.state not in ends:
        wrong.append(f"its file is lost, and it ended {rollout.state}")
    return [f"{rollout.id}: {each}" for each in wrong]


def _begun_once(acts: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    begun = {
        target: sum(each["operation"] == "rollout.create" for each in of_it)
        for target, of_it in acts.items()
    }
    return [f"{target} was begun {times} times" for target, times in begun.items() if times != 1]


def _open_at_once(rollouts: Sequence[Rollout]) -> list[str]:
    standing = [each.id for each in rollouts if each.state.is_open]
    return [f"{standing} are under way at once"] if len(standing) > 1 else []
