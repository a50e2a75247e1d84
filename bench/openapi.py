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
SCENARIOS_S, QUICK_SCENARIOS_S = 600, 60
"""So long requests follow each other along links."""


def run(quick: bool) -> list[Row]:
    """Ask every operation, and go along the links between them; the seed is told."""
    seed = secrets.randbelow(2**31)
    argv = [sys.executable, "-m", "support.openapi_checks", "--seed", str(seed)]
    argv += ["--examples", str(QUICK_EXAMPLES if quick else EXAMPLES)]
    argv += ["--scenarios-s", str(QUICK_SCENARIOS_S if quick else SCENARIOS_S)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    runs = alone, linked = outcome["alone"], outcome["linked"]
    for each in runs:
        if not each["is_clean"]:
            print(each["output"])
    return [
        Row(
            metric="requests made from the document",
            unit="",
            ours=sum(each["cases"] for each in runs),
            note=f"{alone['operations']} operations, seed {seed}",
        ),
        Row(
            metric="links between operations that scenarios went along",
            unit="",
            ours=linked["links"],
            higher_is_better=True,
            note=f"of {linked['links_in_all']} declared and inferred; {linked['cases']} requests",
        ),
        Row(
            metric="runs with a complaint, and tracebacks in the log",
            unit="",
            ours=sum(not each["is_clean"] for each in runs) + outcome["tracebacks"],
            budget=Budget("ours", "at most", 0),
        ),
    ]
