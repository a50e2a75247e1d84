"""Files of torch, with torch: what the tests of every change do without, for its size.

In an environment of its own, in which the control plane's children have torch, too.
"""

from bench.cases import row_of, run_of
from bench.peers import peer_python
from bench.report import ROOT, Row

COVERS = ("octomil/convert", "octomil/control/services", "octomil/sdk/resources")

_ENVIRONMENT = ("-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[serve,control,dev,torch]")
_CONVERSIONS = ("tests/unit/octomil/convert/test_torch_files.py",)
_REGISTRY = (
    "tests/docs/test_seed_sdk.py::test_a_file_of_torch_comes_back_as_it_was_and_as_safetensors",
)


def run(quick: bool) -> list[Row]:  # noqa: ARG001 - there is nothing to leave out
    """Install torch, and run the tests that ask for it."""
    python = peer_python("torch-files", *_ENVIRONMENT)
    return [
        row_of("checks of torch's files", run_of(_CONVERSIONS, python=python).cases),
        row_of(
            "ways of torch's files through the registry", run_of(_REGISTRY, python=python).cases
        ),
    ]
