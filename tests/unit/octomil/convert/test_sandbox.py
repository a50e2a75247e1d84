"""The sandbox holds what is in it."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from octomil.convert.sandbox import Limits, SandboxError, run_in_sandbox, sandbox
from support.folders import names_in
from support.processes import is_gone
from support.waiting import eventually

LIMITS = Limits(memory_bytes=4 << 30, file_bytes=1 << 30, cpu_s=600, wall_s=600)
"""More than any child here needs on a busy machine."""

PRELUDE = """
import json, os, sys
from octomil.convert.confinement import confine
arguments = confine(sys.argv)
"""


def ran(tmp_path: Path, program: str, *arguments: str, limits: Limits = LIMITS) -> dict:
    script = tmp_path / "program.py"
    script.write_text(PRELUDE + dedent(program))
    with sandbox(tmp_path) as folder:
        return run_in_sandbox(str(script), arguments=arguments, folder=folder, limits=limits)


def test_a_child_knows_nothing_of_the_parents_environment(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OCTOMIL_SECRET", "s")

    found = ran(tmp_path, "print(json.dumps({'env': dict(os.environ), 'got': arguments}))", "x")

    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    assert set(found["env"]) <= {"TMPDIR", "HOME", "LC_CTYPE", *threads}
    assert found["got"] == ["x"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux'")
def test_a_child_reaches_no_network(tmp_path: Path):
    may_unshare = os.waitstatus_to_exitcode(os.system("unshare --user --net true")) == 0

    found = ran(tmp_path, """
        lines = open('/proc/self/net/dev').read().splitlines()[2:]
        print(json.dumps({'devices': [line.split(':')[0].strip() for line in lines]}))
    """)  # fmt: skip

    assert not may_unshare or found["devices"] == ["lo"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it is not told")
def test_a_child_whose_parent_is_gone_already_does_nothing(tmp_path: Path):
    found = ran(tmp_path, """
        child = os.fork()
        if child == 0:
            confine(sys.argv)  # whoever wrote the limits is not its parent
            os._exit(0)
        print(json.dumps({'status': os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}))
    """)  # fmt: skip

    assert found["status"] == 1


def test_a_child_that_had_less_before_gets_no_more(tmp_path: Path):
    found = ran(tmp_path, """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        confine(sys.argv)
        print(json.dumps({'limits': resource.getrlimit(resource.RLIMIT_FSIZE)}))
    """)  # fmt: skip

    assert found["limits"] == [4096, 4096]


@pytest.mark.parametrize(
    ("program", "limits", "why"),
    [
        ("bytearray(1 << 30)", {"memory_bytes": 512 << 20}, "MemoryError"),
        ("open('big', 'wb').write(bytes(2 << 20))", {"file_bytes": 1 << 20}, "File too large"),
        ("while True: pass", {"cpu_s": 1}, "signal 24"),
        ("import time; time.sleep(6000)", {"wall_s": 1}, "longer than 1 s"),
        ("os._exit(3)", {}, "status 3"),
        ("os.abort()", {}, "signal 6"),
        ("print('no json')", {}, "status 0"),
        ("print('[1]')", {}, "status 0"),
    ],
)
def test_a_child_that_goes_too_far_gives_no_answer(
    program: str, limits: dict[str, float], why: str, tmp_path: Path
):
    with pytest.raises(SandboxError, match=why):
        ran(tmp_path, program, limits=replace(LIMITS, **limits))

    assert names_in(tmp_path) == ["program.py"]


@pytest.mark.parametrize(
    ("reader", "limits", "why"),
    [
        ("while True: pass", {"cpu_s": 1}, "takes too long"),
        ("bytearray(1 << 30)", {"memory_bytes": 512 << 20}, "too much memory"),
        ("{}['a']", {}, "stumbled over it: KeyError"),
    ],
)
def test_a_file_that_its_reader_cannot_cope_with_is_refused(
    reader: str, limits: dict[str, int], why: str, tmp_path: Path
):
    script = tmp_path / "program.py"
    script.write_text(f"""
import octomil.convert.inspect_child as child

def inspect_file(path):
    {reader}

child.inspect_file = inspect_file
child.main()
""")
    with sandbox(tmp_path) as folder:
        found = run_in_sandbox(
            str(script), arguments=("x",), folder=folder, limits=replace(LIMITS, **limits)
        )

    assert why in found["refused"]


def test_what_a_child_started_ends_with_it(tmp_path: Path):
    found = ran(tmp_path, """
        child = os.fork()
        if child == 0:
            os.close(1)
            import time
            time.sleep(600)
        print(json.dumps({'child': child}), flush=True)
        os._exit(0)
    """)  # fmt: skip

    eventually(lambda: is_gone(found["child"]))
