"""`docs/registry.md`: its Python and its commands, from the first to the last, against a server."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.documents import Block, blocks, commands
from support.model_files import onnx_file, safetensors_file
from support.sdk import Place, control_place, octomil


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A control plane, and a reader of the document beside it."""
    (tmp_path / "mnist.onnx").write_bytes(onnx_file())
    (tmp_path / "mnist.safetensors").write_bytes(safetensors_file(w=[1.0]))
    monkeypatch.chdir(tmp_path)
    with control_place(tmp_path / "up") as place:
        for name, value in place.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))
        yield place


def of_the_document(language: str) -> list[Block]:
    return [block for block in blocks(language) if block.path.name == "registry.md"]


def test_python_runs(place: Place):
    names: dict[str, Any] = {}
    said = []
    for block in of_the_document("python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, str(block), "exec"), names)
        said.append(printed.getvalue())
    names["registry"].close()

    first, copied, error, rollout = said
    assert first == "ready 1.0.0\n"
    assert copied == f"copy.onnx {len(onnx_file())}\n"
    assert "9.0.0" in error
    assert rollout == "active 0\n"


def test_commands_run(place: Place):
    found = commands(of_the_document("sh")[0].text)

    done = [octomil(*words[1:]) for words in found]

    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * len(found)
    assert Path("mnist-production.onnx").read_bytes() == onnx_file()


def test_a_device_comes_in(place: Place):
    """As the document says, but that it ends once it runs what it is told to."""
    invite, run = commands(of_the_document("sh")[1].text)
    token = octomil(*invite[1:]).stdout.strip()
    here = [place.served.url if word == "http://HOST:8000" else word for word in run[1:]]

    done = octomil(*here, "--once", OCTOMIL_BOOTSTRAP_TOKEN=token)

    assert (done.returncode, done.stderr) == (0, "")
    assert "hospital-001 is the device dev_" in done.stdout
