from pathlib import Path

import pytest

from octomil.errors import InvalidModelFileError
from octomil.models.sources.local import file_format, inspect_file
from support.models import make_gguf


def test_a_gguf_file_is_told_by_its_first_bytes_whatever_its_name(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(make_gguf())

    assert file_format(path) == "gguf"
    assert inspect_file(path).architecture == "llama"


def test_an_onnx_file_needs_its_tokenizer(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x09rest")

    with pytest.raises(InvalidModelFileError, match=r"tokenizer\.json"):
        inspect_file(path)

    (tmp_path / "tokenizer.json").write_text("{}")
    assert inspect_file(path) is None


def test_a_missing_file_is_named_and_the_hub_form_offered():
    with pytest.raises(InvalidModelFileError, match=r"no file .*hf:acme/tiny/a\.gguf"):
        file_format(Path("acme/tiny/a.gguf"))


@pytest.mark.parametrize("start", [b"", b"GG", b"PK\x03\x04", b"<html>"])
def test_another_kind_of_file_is_refused(tmp_path, start):
    path = tmp_path / "model.gguf"
    path.write_bytes(start)

    with pytest.raises(InvalidModelFileError, match="is no model"):
        file_format(path)
