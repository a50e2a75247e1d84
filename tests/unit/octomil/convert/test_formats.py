"""Formats are told by content."""

import io

import pytest

from octomil.convert.formats import Format, archive_format, recognise_flat
from support import model_files as made


def flat(content: bytes) -> Format | None:
    return recognise_flat(io.BytesIO(content), len(content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (made.safetensors_file(w=[1.0, 2.0], b=[]), Format.SAFETENSORS),
        (made.safetensors_file(), Format.SAFETENSORS),
        (made.onnx_file(), Format.ONNX),
        (made.coreml_file(), Format.COREML),
        (made.tflite_file(), Format.TFLITE),
        (made.gguf_file(), Format.GGUF),
        (made.npy_file(), Format.NUMPY),
        (made.legacy_torch_file(), Format.PYTORCH),
    ],
)
def test_a_format_is_told_by_its_content(content: bytes, expected: Format):
    assert flat(content) is expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04N.",
        b"import os\n",
        bytes(4096),
        b"\xff" * 4096,
        made.safetensors_file(w=[1.0]) + b"more",
        made.safetensors_file(w=[1.0])[:-1],
        made.onnx_file() + b"\x00",
        made.onnx_file()[:-1],
        made.onnx_file()[2:],
        made.coreml_file()[2:],
        b"\x08\x08",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
    ],
)
def test_what_is_nothing_known_has_no_format(content: bytes):
    assert flat(content) is None


def test_tensors_that_overlap_are_no_safetensors():
    whole = made.safetensors_file(a=[1.0], b=[2.0])

    assert flat(whole.replace(b"[4, 8]", b"[0, 4]")) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"m/data.pkl", "m/version", "m/data/0"}, Format.PYTORCH),
        ({"m/data.pkl", "m/version", "m/constants.pkl", "m/code/x.py"}, Format.TORCHSCRIPT),
        ({"m/archive_format", "m/models/model.json"}, Format.TORCH_EXPORT),
        ({"serialized_exported_program.json", "version"}, Format.TORCH_EXPORT),
        ({"a.mlpackage/Manifest.json", "a.mlpackage/Data/com.apple.CoreML/m"}, Format.COREML),
        ({"w.npy", "b.npy"}, Format.NUMPY),
        ({"holiday.jpg"}, None),
        (set(), None),
    ],
)
def test_an_archive_is_told_by_its_members(names: set[str], expected: Format | None):
    assert archive_format(frozenset(names)) is expected
