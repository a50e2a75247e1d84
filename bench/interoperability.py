"""Whether we get on with what others made, installed for this alone: object stores and a client.

The contract of the blobs and of the uploads under way is checked on every object store, Azure's
own emulator among them; and the client that others have published goes through one session.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.peers import peer_python
from bench.process import BenchError
from bench.report import ROOT, Budget, Row

COVERS = (
    *("octomil/asgi", "octomil/control", "octomil/registry", "octomil/wire"),
    "octomil/compose_control.py",
)

AZURITE = "azurite@3.37.0"
CLIENT = "octomil-sdk==4.1.2"
STORES = {
    "s3": "S3, by moto",
    "gs": "Google Cloud Storage, by moto in the form of its XML interface",
    "az": "Azure, by Azurite",
}

_CONTRACTS = ("tests/contracts/test_blobs.py", "tests/contracts/test_spools.py")
_SESSION = ("tests/e2e/test_published_client.py",)
_OF_STORE = re.compile(r"\[(\w+)[\]-]")


@dataclass(frozen=True)
class Case:
    """A test that was run, and whether it passed."""

    name: str
    passed: bool


def run(quick: bool) -> list[Row]:  # noqa: ARG001 - there is nothing to leave out
    """Install what is needed, and run the tests that ask for it."""
    contract = _cases(_CONTRACTS, {"OCTOMIL_TEST_AZURITE": str(_azurite())})
    of_store = {name: _on(contract, name) for name in STORES}
    client = peer_python("published-client", CLIENT)
    session = _cases(_SESSION, {"OCTOMIL_TEST_PUBLISHED_CLIENT": str(client)})
    return [
        *(_row(f"contract cases on {STORES[name]}", of_store[name]) for name in STORES),
        _row(f"checks of a session of {CLIENT}", session),
    ]


def _row(metric: str, cases: Sequence[Case]) -> Row:
    if not cases:
        raise BenchError(f"no {metric}")
    failed = [case.name for case in cases if not case.passed]
    return Row(
        metric=f"{metric} that hold",
        unit="%",
        ours=100 * (len(cases) - len(failed)) / len(cases),
        budget=Budget("ours", "at least", 100),
        note=f"{len(cases)} cases; failed: {', '.join(failed) or 'none'}",
    )


def _on(cases: Sequence[Case], store: str) -> list[Case]:
    found = ((case, _OF_STORE.search(case.name)) for case in cases)
    return [case for case, match in found if match is not None and match[1] == store]


def _cases(paths: Sequence[str], variables: Mapping[str, str]) -> list[Case]:
    """Run tests; one that was skipped, for want of what it needs, is a failure here."""
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*argv, *paths, f"--junitxml={report}"],
            cwd=ROOT, env=os.environ | dict(variables), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not report.exists():
            raise BenchError(f"the tests could not be run:\n{done.stdout[-3000:]}{done.stderr}")
        cases = ET.parse(report).iter("testcase")
        return [Case(_name(case), not len(case)) for case in cases]  # it has children if it failed


def _name(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def _azurite() -> Path:
    """The emulator's program, installed if need be."""
    folder = ROOT / ".cache" / "bench" / "azurite"
    program, stamp = folder / "node_modules" / ".bin" / "azurite-blob", folder / "bench.stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != AZURITE:
        print(f"Installing {AZURITE} into {folder} …", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit"]
        subprocess.run([*npm, "--no-fund", "--silent", AZURITE], check=True)
        stamp.write_text(AZURITE, encoding="utf-8")
    return program
