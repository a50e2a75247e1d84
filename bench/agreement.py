"""Sequences of commands that chance makes up, each on SQLite and on Postgres, which must agree.

The tests go through the same few each time; here are many more, others each time.
"""

import re
import secrets

from bench.cases import Run, row_of, run_of
from bench.process import BenchError
from bench.report import ROOT, Row

COVERS = ("octomil/control", "octomil/registry", "octomil/rollouts", "octomil/wire")

TIMES, QUICK_TIMES = 10, 1
"""As many sequences as in the tests."""

_TESTED = re.compile(r"(\d+) passing, (\d+) failing")


def run(quick: bool) -> list[Row]:
    """Run every test that compares the two; the seed is told."""
    seed = secrets.randbelow(2**31)
    options = ["--hypothesis-profile=exploring", f"--hypothesis-seed={seed}"]
    paths = sorted((ROOT / "tests/contracts").glob("test_*_agree.py"))
    found = run_of(
        [str(path.relative_to(ROOT)) for path in paths],
        options=[*options, "--hypothesis-show-statistics"],
        variables={"OCTOMIL_TEST_TIMES_EXAMPLES": str(QUICK_TIMES if quick else TIMES)},
    )
    return [
        row_of("comparisons of SQLite and Postgres", found.cases),
        Row(
            metric="sequences of commands made up for them",
            unit="",
            ours=_sequences(found),
            higher_is_better=True,
            note=f"seed {seed}",
        ),
    ]


def _sequences(found: Run) -> int:
    """How many were tried, those that only reduce a failure left out."""
    counts = _TESTED.findall(found.output)
    if not counts:
        raise BenchError(f"no statistics of hypothesis in:\n{found.output[-3000:]}")
    return sum(int(passing) for passing, _ in counts)
