"""`docs/client.md`: its Python, from the first line to the last, against a server that answers."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.documents import blocks
from support.inference_server import InferenceServer, inference_server
from support.models import model_cache_dir


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceServer]:
    with inference_server() as server:
        monkeypatch.setenv("OCTOMIL_API_BASE", server.url)
        monkeypatch.setenv("OCTOMIL_API_KEY", "edg_1")
        monkeypatch.setenv("OCTOMIL_CACHE_DIR", str(model_cache_dir()))
        yield server


@pytest.mark.model
def test_python_runs(server: InferenceServer):
    names: dict[str, Any] = {}
    said = []
    for block in (block for block in blocks("python") if block.path.name == "client.md"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, str(block), "exec"), names)
        said.append(printed.getvalue())
    names["client"].close()

    haiku, explained, hello, colour, embedded, counted, summary, loaded, pieces = said
    assert haiku == "Write a haiku about edge AI."
    assert explained == "Explain quantum computing."
    assert hello == "Hello"
    assert colour == "Name a colour. 3\n"
    assert embedded.splitlines()[:2] == ["2 dimensions"] * 2
    assert "EmbeddingUsage(prompt_tokens=4, total_tokens=4)" in embedded
    assert counted == "Count to three.\n"
    assert re.fullmatch(r".+\d+ tokens by llama_cpp\n", summary, re.DOTALL)
    assert re.fullmatch(r"llama_cpp (stop|length)\n", loaded)
    assert re.fullmatch(r".+ \d+\n", pieces, re.DOTALL)
