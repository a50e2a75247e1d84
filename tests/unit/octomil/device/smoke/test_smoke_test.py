"""Releases are tried by the runtimes themselves, in processes of their own."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.convert.sandbox import Children, Limits
from octomil.device.releases import Release
from octomil.device.smoke.smoke_test import SmokeTest
from octomil.errors import EngineError, EngineUnavailableError
from octomil.models.pull import ModelStore
from support.model_files import safetensors_file
from support.models import make_gguf, model_cache_dir
from support.onnx_models import heavier, numberless, runnable_onnx

GIB = 1 << 30


def release(folder: Path, **files: bytes) -> Release:
    for format_, content in files.items():
        (folder / format_).write_bytes(content)
    paths = {format_: folder / format_ for format_ in files}
    digest = "sha256:" + "0" * 64
    return Release(model_id="m", version="1.0.0", digest=digest, folder=folder, files=paths)


def test_what_runs_passes(tmp_path: Path):
    files = {"onnx": runnable_onnx(), "safetensors": safetensors_file(w=[1.0, -2.0])}

    assert SmokeTest()(release(tmp_path, **files)) == []


@pytest.mark.parametrize(
    ("format_", "content", "why"),
    [("onnx", b"weights", "cannot load it"),
     ("onnx", runnable_onnx("Nonsense"), "cannot load it"),
     ("onnx", runnable_onnx()[:-4], "cannot load it"),
     ("safetensors", safetensors_file(w=[1.0, float("nan")]), "'w' has values that are not"),
     ("safetensors", safetensors_file(w=[1.0, 2.0])[:-1], "cut short"),
     ("safetensors", b"weights", "no file of safetensors"),
     ("gguf", make_gguf(), "llama.cpp cannot run it"),
     ("gguf", b"weights", "not a GGUF file")],
)  # fmt: skip
def test_what_does_not_run_fails(tmp_path: Path, format_: str, content: bytes, why: str):
    with pytest.raises(EngineError, match=f"{format_} failed its smoke test.*{why}"):
        SmokeTest()(release(tmp_path, **{format_: content}))


@pytest.mark.parametrize(
    ("content", "output"),
    [(runnable_onnx("Acosh"), "y"), (numberless(runnable_onnx()), "root")],
)
def test_what_gives_no_numbers_fails(tmp_path: Path, content: bytes, output: str):
    """A half has no inverse hyperbolic cosine."""
    with pytest.raises(EngineError, match=f"output '{output}' has values that are not numbers"):
        SmokeTest()(release(tmp_path, onnx=content))


def test_infinite_values_are_told_with_what_passes(tmp_path: Path):
    files = {"onnx": runnable_onnx("Floor Log"), "safetensors": safetensors_file(w=[-math.inf])}

    assert SmokeTest()(release(tmp_path, **files)) == [
        "onnx passed its smoke test: infinite values in y",
        "safetensors passed its smoke test: infinite values in w",
    ]


@pytest.mark.parametrize(
    "limits",
    [Limits(memory_bytes=8 * GIB, file_bytes=0),
     Limits(memory_bytes=8 * GIB, file_bytes=GIB, wall_s=0.001)],
    ids=["crash", "time"],
)  # fmt: skip
def test_a_process_that_dies_has_failed_and_nobody_else(tmp_path: Path, limits: Limits):
    with pytest.raises(EngineError, match="failed its smoke test"):
        SmokeTest(limits)(release(tmp_path, onnx=runnable_onnx()))


def test_what_takes_more_memory_than_there_is_has_failed(tmp_path: Path):
    limits = Limits(memory_bytes=4 * GIB, file_bytes=GIB)

    with pytest.raises(EngineError, match=r"onnx failed its smoke test: .*memory"):
        SmokeTest(limits)(release(tmp_path, onnx=heavier(runnable_onnx(), 8 * GIB)))


def test_a_trial_that_is_ended_says_nothing_about_the_release(tmp_path: Path):
    children = Children()
    children.end()

    with pytest.raises(EngineUnavailableError, match="was ended"):
        SmokeTest(children=children)(release(tmp_path, onnx=runnable_onnx()))


def test_an_error_of_the_trial_s_own_program_says_nothing_about_the_release(tmp_path: Path):
    gone = replace(release(tmp_path), files={"safetensors": tmp_path / "gone"})

    with pytest.raises(EngineUnavailableError, match=r"safetensors cannot be tried here: .*gone"):
        SmokeTest()(gone)


@pytest.mark.parametrize("name", ["gone", "folder"])
def test_a_file_that_cannot_be_read_says_nothing_about_the_release(tmp_path: Path, name: str):
    (tmp_path / "folder").mkdir()
    unreadable = replace(release(tmp_path), files={"onnx": tmp_path / name})

    with pytest.raises(EngineUnavailableError, match=r"onnx cannot be tried here: .*Error"):
        SmokeTest()(unreadable)


def test_what_this_device_has_no_runtime_for_has_not_failed(tmp_path: Path):
    files = {"onnx": b"weights", "pytorch": b"weights"}
    smoke = SmokeTest(needs={"onnx": ("numpy", "a_runtime_of_nobody")})

    assert smoke(release(tmp_path, **files)) == [
        "onnx was not tried: it takes `pip install a_runtime_of_nobody`",
        "pytorch was not tried: the agent has no runtime for this format",
    ]


def test_an_input_that_cannot_be_made_up_says_nothing_about_the_release(tmp_path: Path):
    bfloat16 = 16
    (note,) = SmokeTest()(release(tmp_path, onnx=runnable_onnx("Identity", element=bfloat16)))

    assert "cannot be made up" in note


@pytest.mark.model
def test_a_language_model_passes_where_it_is_confined(tmp_path: Path):
    gguf = ModelStore(Settings(cache_dir=model_cache_dir())).pull("smollm2-135m").path

    assert SmokeTest()(replace(release(tmp_path), files={"gguf": gguf})) == []
