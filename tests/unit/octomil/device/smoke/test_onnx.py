"""The inputs that an ONNX model is tried with."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as native

from octomil.device.smoke.onnx import made_up, try_onnx
from octomil.device.smoke.trial import FailedTrialError, NotTriedError
from support.onnx_models import runnable_onnx


@pytest.mark.parametrize(
    ("name", "kind", "shape", "expected"),
    [("x", "tensor(float)", ["batch", 2], np.full((1, 2), 0.5, np.float32)),
     ("ids", "tensor(int64)", [None, "n"], np.zeros((1, 1), np.int64)),
     ("attention_mask", "tensor(int64)", ["b", "past_length + n"], np.ones((1, 1), np.int64)),
     ("past.0.key", "tensor(float16)", ["b", 4, "past_length", 8],
      np.zeros((1, 4, 0, 8), np.float16)),
     ("use_cache", "tensor(bool)", [], np.array(False)),
     ("text", "tensor(string)", [-1], np.array(["a"], object))],
)  # fmt: skip
def test_inputs_are_made_from_what_is_declared(name: str, kind: str, shape: list, expected):
    given = made_up(name, kind, shape)

    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("seq(tensor(float))", []), ("tensor(bfloat16)", [1]), ("tensor(float)", [1 << 40])],
)
def test_what_cannot_be_made_up_is_told(kind: str, shape: list):
    with pytest.raises(NotTriedError, match="'x'"):
        made_up("x", kind, shape)


IMAGE = ("batch", 3, "height", "width")


def model(folder: Path, *described: object, **more: int) -> Path:
    path = folder / "onnx"
    path.write_bytes(runnable_onnx(*described, **more))
    return path


@pytest.mark.parametrize("kernel", [1, 7, 200])
def test_an_image_is_made_as_large_as_the_model_takes(tmp_path: Path, kernel: int):
    assert try_onnx(model(tmp_path, "MaxPool", IMAGE, kernel=kernel)) == ""


def test_lengths_that_nobody_declared_say_nothing_about_the_model(tmp_path: Path):
    with pytest.raises(NotTriedError, match="none of 1, 32, 224"):
        try_onnx(model(tmp_path, "MaxPool", IMAGE, kernel=300))


def test_a_model_that_does_not_run_on_what_it_declares_fails(tmp_path: Path):
    with pytest.raises(FailedTrialError, match="onnxruntime cannot"):
        try_onnx(model(tmp_path, "MaxPool", (1, 3, 32, 32), kernel=300))


@pytest.mark.parametrize(
    "content",
    [b"weights", b"", runnable_onnx()[:-4], runnable_onnx("Nonsense"),
     runnable_onnx("Acosh", element=11), runnable_onnx() + b"\x42\x02\x10\x7f"],
    ids=["protobuf", "nothing", "cut", "operator", "kind of numbers", "operators of tomorrow"],
)  # fmt: skip
def test_what_onnxruntime_refuses_is_the_model_s_fault(tmp_path: Path, content: bytes):
    path = tmp_path / "onnx"
    path.write_bytes(content)

    with pytest.raises(FailedTrialError, match="onnxruntime cannot load it"):
        try_onnx(path)


@pytest.mark.parametrize("name", ["EPFail", "NoSuchFile", "EngineError"])
def test_what_onnxruntime_says_of_this_device_is_no_fault_of_the_model(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    path, fault = model(tmp_path, "Abs"), getattr(native, name)

    def no_session(*_words, **_more):
        raise fault("no such provider here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", no_session)
    with pytest.raises(fault):
        try_onnx(path)


def test_infinite_outputs_are_told_and_are_no_fault(tmp_path: Path):
    assert try_onnx(model(tmp_path, "Floor Log")) == "infinite values in y"


def test_outputs_that_are_no_numbers_are_a_fault(tmp_path: Path):
    with pytest.raises(FailedTrialError, match="'y' has values that are not numbers"):
        try_onnx(model(tmp_path, "Acosh"))


def test_guessed_lengths_take_no_memory_to_speak_of():
    with pytest.raises(NotTriedError, match="too large"):
        made_up("x", "tensor(float)", ["batch", 3, "d", "h", "w"], 224)
