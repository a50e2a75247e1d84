"""Whether we get on with what others made, installed for this alone: object stores and a client.

The contract of the blobs and of the uploads under way is checked on every object store, Azure's
own emulator among them; and the client that others have published goes through one session.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.cases import Case, row_of, run_of
from bench.peers import peer_python
from bench.report import ROOT, Row

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
_NOTES = {
    "gs": "fake-gcs-server 1.54.0 refuses what obstore sends, a PUT without `uploadType` and a "
    "multipart upload of the XML interface, with 400"
}
"""Why it is not another server."""

_OF_STORE = re.compile(r"\[(\w+)[\]-]")


def run(quick: bool) -> list[Row]:  # noqa: ARG001 - there is nothing to leave out
    """Install what is needed, and run the tests that ask for it."""
    contract = run_of(_CONTRACTS, variables={"OCTOMIL_TEST_AZURITE": str(_azurite())}).cases
    client = peer_python("published-client", CLIENT)
    session = run_of(_SESSION, variables={"OCTOMIL_TEST_PUBLISHED_CLIENT": str(client)}).cases
    return [
        *(
            row_of(f"contract cases on {store}", _on(contract, name), _NOTES.get(name, ""))
            for name, store in STORES.items()
        ),
        row_of(f"checks of a session of {CLIENT}", session),
    ]


def _on(cases: Sequence[Case], store: str) -> list[Case]:
    found = ((case, _OF_STORE.search(case.name)) for case in cases)
    return [case for case, match in found if match is not None and match[1] == store]


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
