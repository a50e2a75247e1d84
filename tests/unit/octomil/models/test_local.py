from pathlib import Path

import pytest

from octomil.errors import InvalidModelFileError
from octomil.models.local import describe_file
from octomil.models.references import parse_reference
from support.model_files import safetensors_file
from support.models import make_gguf


@pytest.mark.parametrize(
    ("keys", "kind", "template"),
    [
        ({"tokenizer.chat_template": "{{ messages }}"}, "chat", "embedded"),
        ({}, "completion", None),
        ({"general.architecture": "bert", "bert.pooling_type": 1}, "embedding", None),
    ],
)
def test_the_kind_is_read_from_the_file(tmp_path, keys, kind, template):
    path = tmp_path / "m.gguf"
    path.write_bytes(make_gguf(keys))

    model = describe_file(parse_reference(str(path)))

    assert (model.kind, model.chat_template, model.supports_tools) == (kind, template, False)
    assert model.files == {"m.gguf": path}


def test_an_onnx_model_counts_its_tokenizer(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x09")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")

    model = describe_file(parse_reference(str(path)))

    assert (model.kind, model.size_bytes, model.parameters) == ("embedding", 4, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as its makers publish it."""
    folder = tmp_path / "Tiny-0.5B"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 512}')
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (folder / "model.safetensors").write_bytes(safetensors_file(a=[1.0, 2.0], b=[3.0]))
    return folder


def test_a_folder_of_safetensors_is_a_model(folder):
    model = describe_file(parse_reference(str(folder)))

    assert (model.name, model.format, model.kind) == ("Tiny-0.5B", "safetensors", "chat")
    assert (model.path, model.parameters, model.context_length) == (folder, 3, 512)
    assert model.size_bytes == (folder / "model.safetensors").stat().st_size


def test_a_folder_without_a_prompt_format_continues_text(folder):
    (folder / "tokenizer_config.json").write_text("{}")
    assert describe_file(parse_reference(str(folder))).kind == "completion"

    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert describe_file(parse_reference(str(folder))).kind == "chat"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_a_folder_that_lacks_something_says_what(folder, name):
    (folder / name).unlink()

    with pytest.raises(InvalidModelFileError, match=f"has no .*{name.removeprefix('model')}"):
        describe_file(parse_reference(str(folder)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"{"),
        ("tokenizer_config.json", b"\xff"),
        ("model.safetensors", b"short"),
        ("model.safetensors", b"\xff" * 16),
        ("model.safetensors", b"\x02" + bytes(7) + b"[]"),
        ("model.safetensors", b"\x08" + bytes(7) + b'{"a": 1}'),
    ],
)
def test_a_folder_with_something_damaged_says_what(folder, name, content):
    (folder / name).write_bytes(content)

    with pytest.raises(InvalidModelFileError, match=name):
        describe_file(parse_reference(str(folder)))
