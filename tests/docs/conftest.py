"""What the documents take for granted: a node with their models, and clients for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node_client import openai_package_folder
from support.serving import ServeProcess, serving

NAMES = ("smollm2-135m", "qwen2.5-coder-1.5b", "all-minilm-l6-v2")
"""The models that the documents ask for; echo answers in their place."""

ALIASES = ",".join(f"{name}=echo:{name}" for name in NAMES)


@pytest.fixture(scope="session")
def documents_node() -> Iterator[ServeProcess]:
    """The node that the documents talk to; shared, so leave it as it was."""
    with serving(
        *("--models", ",".join(NAMES[:2]), "--auto-route"),
        env={"OCTOMIL_MODEL_ALIASES": ALIASES},
    ) as served:
        yield served


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """The folder with OpenAI's client for Node.js; fetched if need be."""
    return openai_package_folder()
