"""Tests run as a campaign: which cases there were, which hold, and what was printed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.process import BenchError
from bench.report import ROOT, Budget, Row


@dataclass(frozen=True)
class Case:
    """A test that was run, and whether it passed."""

    name: str
    passed: bool


@dataclass(frozen=True)
class Run:
    """What came of a run of tests."""

    cases: Sequence[Case]
    output: str


def run_of(
    paths: Sequence[str],
    *,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    python: Path | None = None,
) -> Run:
    """Run tests; one that was skipped, for want of what it needs, is a failure here.

    Args:
        paths: of the tests, from the root of the tree.
        options: of pytest, besides.
        variables: for the environment, besides.
        python: the interpreter; without it, the bench's own.

    Raises:
        BenchError: the tests could not be run at all.
    """
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        report = Path(folder) / "report.xml"
        argv = [str(python or sys.executable), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*argv, *options, *paths, f"--junitxml={report}"],
            cwd=ROOT, env=os.environ | dict(variables or {}),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not report.exists():
            raise BenchError(f"the tests could not be run:\n{done.stdout[-3000:]}{done.stderr}")
        found = ET.parse(report).iter("testcase")
        cases = [Case(_name(each), not len(each)) for each in found]  # children tell of a failure
    if not all(case.passed for case in cases):
        print(done.stdout[-20_000:])
    return Run(cases, done.stdout)


def row_of(metric: str, cases: Sequence[Case], note: str = "") -> Row:
    """Return the row that says which share of the cases holds: all of them have to.

    Raises:
        BenchError: there are none.
    """
    if not cases:
        raise BenchError(f"no {metric}")
    failed = [case.name for case in cases if not case.passed]
    told = f"{len(cases)} cases; failed: {', '.join(failed) or 'none'}"
    return Row(
        metric=f"{metric} that hold",
        unit="%",
        ours=100 * (len(cases) - len(failed)) / len(cases),
        budget=Budget("ours", "at least", 100),
        note="; ".join(filter(None, (told, note))),
    )


def _name(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"
