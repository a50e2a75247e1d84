"""What must be light is light: nothing heavy is loaded before it is needed."""

import subprocess
import sys

import pytest

MODULES = 250
HEAVY = {
    "aiohttp",
    "alembic",
    "cryptography",
    "fastapi",
    "httpx",
    "msgspec",
    "numpy",
    "obstore",
    "onnxruntime",
    "opentelemetry",
    "pip",
    "pkcs11",
    "prometheus_client",
    "psutil",
    "pynvml",
    "re2",
    "redis",
    "rich",
    "scipy",
    "sqlalchemy",
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
        "import epochly.inference.metrics, epochly.inference.privacy",
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


@pytest.mark.parametrize("name", ["models", "pull", "doctor", "up", "device", "registry"])
def test_a_command_is_read_without_what_only_serving_needs(name: str):
    modules = loaded_by(f"import octomil.cli.{name}")

    assert modules & HEAVY == set()


def test_a_serving_node_is_started_without_the_control_plane():
    modules = loaded_by("import octomil.cli.serve")

    assert modules & {"fastapi", "sqlalchemy", "pydantic", "octomil.control"} == set()
    assert "octomil.serve.server" in modules


def test_a_control_plane_is_started_without_what_only_serving_needs():
    modules = loaded_by("import octomil.cli.up, octomil.compose_control, octomil.control.server")

    assert modules & {"aiohttp", "alembic", "numpy", "obstore", "psutil", "psycopg"} == set()
    assert modules & {"octomil.serve", "octomil.models"} == set()
    engines = {name for name in modules if name.startswith("octomil.engines.")}
    assert engines <= {"octomil.engines.base", "octomil.engines.upstream"}  # it asks their servers
    assert "octomil.control.app" in modules


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
