"""Requests that chance makes up from the OpenAPI document, all checks, at a real control plane.

The tests go through the document one statement after another; here are the many cases beside.
"""

import json
import os
import secrets
import subprocess
import sys

from bench.report import ROOT, Budget, Row

COVERS = ("octomil/control", "octomil/wire")

EXAMPLES, QUICK_EXAMPLES = 200, 3


def run(quick: bool) -> list[Row]:
    """Ask every operation, and go along the links between them; the seed is told."""
    seed = secrets.randbelow(2**31)
    argv = [sys.executable, "-m", "support.openapi_checks", "--seed", str(seed)]
    argv += ["--examples", str(QUICK_EXAMPLES if quick else EXAMPLES)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    failures = int(not outcome["is_clean"]) + outcome["tracebacks"]
    if failures:
        print(outcome["output"])
    note = f"{outcome['operations']} operations, {outcome['links']} links, seed {seed}"
    return [
        Row(metric="requests made from the document", unit="", ours=outcome["cases"], note=note),
        Row(
            metric="runs with a complaint, and tracebacks in the log",
            unit="",
            ours=failures,
            budget=Budget("ours", "at most", 0),
        ),
    ]
