"""Short programs timed alternately, each in an interpreter of its own."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENDING = """
import sys, time
calls = int(sys.argv[1])
run(calls // 10)
start = time.process_time()
run(calls)
print((time.process_time() - start) / calls * 1e6)
"""


def cpu_us(
    programs: Mapping[str, tuple[Path, str]], repeats: int, calls: int
) -> dict[str, list[float]]:
    """Return the CPU microseconds of a call, one for each repeat, by key of `programs`.

    Args:
        programs: interpreter and program; a program defines `run(calls)`.
        repeats: how often each is run, in turn.
        calls: how many calls one run times, after a tenth of them to warm up.
    """
    taken: dict[str, list[float]] = {key: [] for key in programs}
    for _ in range(repeats):
        for key, (python, program) in programs.items():
            argv = [str(python), "-c", program + _ENDING, str(calls)]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            taken[key].append(float(done.stdout))
    return taken
