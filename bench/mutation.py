"""Whether the test that a documented name is verified by notices when the name does nothing.

Each mutant is one documented callable whose body is replaced by `return None`, and the test that
`tests/surface.toml` names for it; a mutant survives if that test passes nevertheless. All tests
pass on the code as it is, or the campaign ends there. `tests/architecture/test_mutation.py` runs a
sample.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.report import ROOT, Budget, Row

COVERS = ("epochly", "octomil")

SEED = 20_261_121

_PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-x",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
)
_PASSED, _FAILED = 0, 1
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Mutant:
    """A callable whose body is to be replaced, as `MODULE:QUALNAME`, and who should notice."""

    target: str
    test: str

    def __str__(self) -> str:
        return f"{self.target.partition(':')[2]} ({self.test.partition('::')[2]})"


def run(quick: bool) -> list[Row]:
    """Try every mutant; a quick run tries a few."""
    every = mutants()
    chosen = random.Random(SEED).sample(every, 5) if quick else every
    check_tests({mutant.test for mutant in chosen})
    survivors = [str(mutant) for mutant in chosen if survives(mutant)]
    noticed = 100 * (len(chosen) - len(survivors)) / len(chosen)
    note = f"{len(chosen)} mutants; survivors: {', '.join(survivors) or 'none'}"
    budget = Budget("ours", "at least", 100)
    metric = "documented bodies whose loss is noticed"
    return [Row(metric=metric, unit="%", ours=noticed, budget=budget, note=note)]


def mutants() -> list[Mutant]:
    """Every documented callable with each test that verifies it, in the order of the table."""
    argv = [sys.executable, "-m", "support.mutants"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    listed = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    return [Mutant(*pair) for pair in json.loads(listed.stdout)]


def check_tests(tests: set[str]) -> None:
    """Run tests on the code as it is.

    Raises:
        RuntimeError: one fails, so that it would notice whatever is done.
    """
    status, output = _pytest(sorted(tests))
    if status != _PASSED:
        raise RuntimeError(f"the tests fail on the code as it is:\n{output}")


def survives(mutant: Mutant) -> bool:
    """Tell whether a mutant's test passes; a test that hangs does not.

    Raises:
        RuntimeError: the test could not be run.
    """
    status, output = _pytest([mutant.test, "-p", "bench.gutting", "--gut", mutant.target])
    if status not in (_PASSED, _FAILED):
        raise RuntimeError(f"{mutant} could not be tried:\n{output}")
    return status == _PASSED


def _pytest(arguments: Sequence[str]) -> tuple[int, str]:
    argv = [*_PYTEST, *arguments]
    try:
        done = subprocess.run(
            argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return _FAILED, f"the test ran for more than {_TIMEOUT_S} s"
    return done.returncode, done.stdout[-4_000:] + done.stderr[-4_000:]
