"""Runs code that a model wrote and nobody has read."""

import subprocess
import sys

# Runs a file within limits it cannot lift, and prints one expression's value.
SANDBOX = """
import resource, sys
for what, most in (
    (resource.RLIMIT_CPU, 5),
    (resource.RLIMIT_AS, 512 * 2**20),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 16),
    (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(what, (most, most))
with open(sys.argv[1]) as file:
    written = compile(file.read(), "written", "exec")
names = {"__name__": "written"}
exec(written, names)
print(repr(eval(sys.argv[2], names)))
"""


def run_code(code, expression, folder):
    """Run code, return an expression's value: no environment, few resources, an empty folder."""
    file = folder / "written.txt"
    file.write_text(code)
    empty = folder / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-c", SANDBOX, str(file), expression],
        check=False,
        capture_output=True,
        text=True,
        cwd=empty,
        env={},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 0, f"{code}\n\n{done.stderr}"
    return done.stdout.splitlines()[-1]
