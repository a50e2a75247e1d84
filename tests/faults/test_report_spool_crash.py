"""A spool whose process is killed loses no report that it had kept, and uses no number twice."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from octomil.device.report_spool import ReportSpool

KILLS = 12

WRITER = """
import sys
from pathlib import Path
from octomil.device.report_spool import ReportSpool

spool = ReportSpool(Path(sys.argv[1]), max_bytes=1_000_000)
print("spool", spool.name, len(spool), flush=True)
while True:
    spool.append("x" * 40)
    number = spool.first(10_000, 2**30)[-1].number
    print("kept", number, flush=True)
    if number % 5 == 0:
        print("sent", number, flush=True)
        spool.settle(number)
"""
"""Keeps reports, and tells of each; every fifth time all of them were sent."""


def killed_after(path: Path, lines: int) -> list[list[str]]:
    """Start a writer, kill it after it told so much; return all that it told."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -9
    return [line.split() for line in told if line.endswith("\n")]


@pytest.mark.parametrize("seed", [1])
def test_kill_9_loses_no_report_and_gives_no_number_again(tmp_path: Path, seed: int):
    chance, path = random.Random(seed), tmp_path / "spool"
    names: set[str] = set()
    kept: list[int] = []
    sent = 0
    for _ in range(KILLS):
        told = killed_after(path, chance.randrange(2, 40))
        names |= {name for kind, name, *_ in told if kind == "spool"}
        kept += [int(number) for kind, number, *_ in told if kind == "kept"]
        sent = max([sent, *(int(number) for kind, number, *_ in told if kind == "sent")])
        spool = ReportSpool(path)
        waiting = [each.number for each in spool.first(10_000, 2**30)]
        spool.close()

        assert spool.dropped == 0
        assert {number for number in kept if number > sent} <= set(waiting)
        assert waiting == sorted(set(waiting))
    assert len(names) == 1
    assert kept == sorted(set(kept)), "a number was given twice"
    assert len(kept) > KILLS
