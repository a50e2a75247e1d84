"""What must be light is light: nothing heavy is loaded before it is needed."""

import subprocess
import sys

import pytest

MODULES = 250
HEAVY = {
    "aiohttp",
    "cryptography",
    "httpx",
    "msgspec",
    "numpy",
    "onnxruntime",
    "opentelemetry",
    "pip",
    "pkcs11",
    "prometheus_client",
    "psutil",
    "re2",
    "redis",
    "rich",
    "scipy",
    "starlette",
    "tokenizers",
    "torch",
    "transformers",
    "uvicorn",
    "xllamacpp",
}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `statement`."""
    program = f"import sys; {statement}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


HELP = "from octomil.cli.main import main; main(['--help'])"


@pytest.mark.parametrize(
    "statement",
    [
        "import octomil",
        "import epochly",
        "import epochly.inference",
        "import epochly.inference.config, epochly.inference.context, epochly.inference.breaker",
        HELP,
    ],
)
def test_nothing_heavy_is_loaded(statement: str):
    modules = loaded_by(statement)

    assert len(modules) < MODULES
    assert modules & HEAVY == set()


def test_help_needs_no_library_at_all():
    modules = loaded_by(HELP)

    assert "click" not in modules
    assert "octomil.cli.main" in modules


@pytest.mark.parametrize("name", ["models", "pull", "doctor"])
def test_a_command_is_read_without_what_only_serving_needs(name: str):
    modules = loaded_by(f"import octomil.cli.{name}")

    assert modules & HEAVY == set()


QUIET = """
import logging, os, threading, warnings
before = dict(os.environ), list(warnings.filters)
import octomil, epochly.inference.config, epochly.inference.context
assert (dict(os.environ), list(warnings.filters)) == before
assert threading.active_count() == 1
assert not logging.root.handlers
"""


def test_importing_sets_nothing_in_motion():
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
