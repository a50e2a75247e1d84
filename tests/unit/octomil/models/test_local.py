import pytest

from octomil.models.local import describe_file
from octomil.models.references import parse_reference
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
