"""What the documents take for granted: a node with their models, and clients for it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from support.documents import ROOT
from support.models import model_cache_dir
from support.serving import ServeProcess, serving

NAMES = ("smollm2-135m", "qwen2.5-coder-1.5b", "all-minilm-l6-v2")
"""The models that the documents ask for; echo answers in their place."""

LOCKED = ("package.json", "package-lock.json")

ALIASES = ",".join(f"{name}=echo:{name}" for name in NAMES)


def _skip_or_fail(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], NoReturn]:
    """Skips on a contributor's machine, fails where everything must be there (`CI=true`)."""
    return _skip_or_fail


@pytest.fixture(scope="session")
def documents_node() -> Iterator[ServeProcess]:
    """The node that the documents talk to; shared, so leave it as it was."""
    with serving(
        *("--models", ",".join(NAMES[:2]), "--auto-route"),
        env={"OCTOMIL_MODEL_ALIASES": ALIASES},
    ) as served:
        yield served


@pytest.fixture(scope="session")
def node_folder(skip_or_fail: Callable[[str], NoReturn]) -> Path:
    """The folder where `tests/e2e` keeps OpenAI's client for Node.js; made here if need be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        skip_or_fail("Node.js is not installed")
    locked = [ROOT / "tests" / "e2e" / "node" / name for name in LOCKED]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in locked)).hexdigest()
    folder = model_cache_dir() / "node" / digest[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            for path in locked:
                shutil.copy(path, made)
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=made, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                skip_or_fail(f"npm could not fetch OpenAI's client: {done.stderr[-300:]}")
            if not folder.exists():  # else another run was first
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder
