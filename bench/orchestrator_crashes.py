"""An orchestrator that is killed 200 times, at named points, while rollouts go on.

`bench.orchestrator_process` is what dies; after each kill the history of every rollout is looked
at, with what must have been stored with it. `tests/faults/test_orchestrator_crashes.py` runs each
point once.
"""

import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.orchestrator_process import MODEL, POINTS, open_plane
from bench.orchestrators import Cell, violations
from bench.process import BenchError
from bench.report import Budget, Row
from octomil.compose_control import DEFAULT_ORGANISATION
from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.control.services.blocks import ruled_as
from octomil.rollouts.states import Transition

COVERS = ("octomil/rollouts", "octomil/control")

SEED, KILLS = 20_261_122, 200
_NTH = 6  # the pass to die at, at most
_ALL = 10_000
_PATIENCE_S = 300.0


def run(quick: bool) -> list[Row]:
    """Die at every point, again and again; a quick run takes each point once."""
    hits: Counter[str] = Counter()
    wrong: list[str] = []
    points = list(POINTS) * (1 if quick else KILLS // len(POINTS))
    chance = random.Random(SEED)
    chance.shuffle(points)
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        for point in points:
            die(Path(folder), point, chance)
            hits[point] += 1
            wrong += found_wrong(Path(folder))
        changes = Counter(each.action.value for each in histories(Path(folder)))
    counted = ", ".join(f"{name} {hits[name]}" for name in POINTS)
    taken = ", ".join(f"{count} {action}" for action, count in changes.most_common())
    return [
        Row(
            metric=f"violated transitions after {len(points)} kill -9 of the orchestrator",
            unit="",
            ours=float(len(wrong)),
            budget=Budget("ours", "at most", 0),
            note=f"{counted}; in all took effect: {taken}",
        )
    ]


def die(folder: Path, point: str, chance: random.Random) -> None:
    """Let an orchestrator go on in a folder until it is killed at a point.

    Raises:
        BenchError: it ended otherwise.
    """
    nth, seed = 1 if "block" in point else chance.randint(1, _NTH), chance.random()
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
            notes = Counter(each.entry["target"] for each in tx.audit.page(None, _ALL))
            wrong = [what for each in rollouts for what in _wrong_of(tx, each, notes[each.id])]
            return wrong + _open_at_once(rollouts)
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


def _wrong_of(tx: Transaction, rollout: Rollout, notes: int) -> list[str]:
    history = list(tx.rollouts.history(rollout.id, limit=_ALL))
    wrong = violations(Cell(history=history))
    if history and history[-1].after != rollout.progress:
        wrong.append(f"{rollout.id} does not stand where its history ends")
    if notes != len(history) + 1:
        wrong.append(f"of {rollout.id} there are {notes} acts and {len(history)} changes")
    known_by = ruled_as(rollout, tx.versions.get_all([rollout.version_id]))
    is_blocked = any(each.is_block for each in tx.rulings.of(known_by))
    if is_blocked != any(each.blocks for each in history):
        wrong.append(f"{rollout.id} is rolled back without its block, or blocked without")
    return wrong


def _open_at_once(rollouts: Sequence[Rollout]) -> list[str]:
    standing = [each.id for each in rollouts if each.state.is_open]
    return [f"{standing} are under way at once"] if len(standing) > 1 else []
