"""What it costs to start: the command line's help, the import, the first answer of a server."""

import json
import os
import subprocess
import sys

from bench.cpu import load_core, on_cores, server_core, usable_cores
from bench.process import (
    BenchError,
    call,
    free_port,
    octomil_has,
    octomil_program,
    serving,
    wait_for_200,
)
from bench.report import Budget, Row, compare

COVERS = ("octomil",)

_CHAT = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).encode()
_JSON = {"content-type": "application/json"}


def run(quick: bool) -> list[Row]:
    """Measure alternately with the floor, which is Python itself."""
    repeats = 5 if quick else 15
    with on_cores(load_core(usable_cores())):
        rows = [_help_row(repeats), _import_time_row(repeats), _modules_row()]
        if octomil_has("serve"):
            rows.append(_first_answer_row(2 if quick else 5))
        else:
            rows.append(Row(metric="serve echo, exec to first 200", unit="s"))
    return rows


def _help_row(repeats: int) -> Row:
    argv = {"floor": [sys.executable, "-c", "pass"]}
    if octomil_has():
        argv["ours"] = [str(octomil_program()), "--help"]
    return compare(
        "octomil --help, CPU",
        "ms",
        _cpu_ms(argv, repeats),
        budget=Budget("ours", "at most", 60),
        note="user and system time; the floor is `python -c pass`",
    )


def _import_time_row(repeats: int) -> Row:
    argv = {
        "floor": [sys.executable, "-c", "pass"],
        "ours": [sys.executable, "-c", "import octomil"],
    }
    return compare("import octomil, CPU", "ms", _cpu_ms(argv, repeats))


def _cpu_ms(argv: dict[str, list[str]], repeats: int) -> dict[str, list[float]]:
    """CPU of each command, run in turn; the first round warms the page cache and is dropped."""
    taken: dict[str, list[float]] = {key: [] for key in argv}
    for number in range(repeats + 1):
        for key, words in argv.items():
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise BenchError(f"{words} ended with {process.returncode}")
            if number:
                taken[key].append((usage.ru_utime + usage.ru_stime) * 1000)
    return taken


def _modules_row() -> Row:
    def count(statement: str) -> float:
        code = f"import sys; {statement}; print(len(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    return Row(
        metric="import octomil, modules",
        unit="",
        ours=count("import octomil"),
        floor=count("pass"),
        budget=Budget("ours", "at most", 250),
    )


def _first_answer_row(repeats: int) -> Row:
    to_ready: dict[str, list[float]] = {"ours": []}
    for _ in range(repeats):
        port = free_port()
        argv = [str(octomil_program()), "serve", "echo", "--port", str(port)]
        cores = server_core(usable_cores())
        with serving("start-echo", argv, port=port, cores=cores) as server:
            taken_s = wait_for_200(server, "/v1/chat/completions", _CHAT, _JSON)
            status, answer = call(port, "/v1/chat/completions", _CHAT, _JSON)
            if status != 200 or not json.loads(answer)["choices"]:
                raise BenchError(f"echo answered {status} {answer[:300]!r}")
        to_ready["ours"].append(taken_s)
    return compare("serve echo, exec to first 200", "s", to_ready)
