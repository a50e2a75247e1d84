import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.errors import ConfigurationError, OctomilError, UnknownModelError
from octomil.models.catalog import CATALOG
from octomil.models.references import parse_reference, split_names


@pytest.mark.parametrize(
    ("text", "kind", "name", "target"),
    [
        ("smollm2-135m", "catalog", "smollm2-135m", "smollm2-135m"),
        ("all-minilm", "catalog", "all-minilm", "all-minilm-l6-v2"),
        ("models/my.gguf", "file", "my", "models/my.gguf"),
        ("my.v2.gguf", "file", "my.v2", "my.v2.gguf"),
        ("./folder/model.onnx", "file", "model", "folder/model.onnx"),
        ("ollama:llama3.2:3b", "ollama", "llama3.2:3b", "llama3.2:3b"),
        ("openai:gpt-x", "openai", "gpt-x", "gpt-x"),
        ("echo", "echo", "echo", "echo"),
        ("echo:fast", "echo", "fast", "fast"),
        ("registry:churn@1.2.0", "registry", "churn", "churn"),
        ("hf:acme/tiny/tiny-q4.gguf", "hf", "tiny-q4", "acme/tiny"),
        ("  smollm2-135m ", "catalog", "smollm2-135m", "smollm2-135m"),
    ],
)
def test_everything_that_names_a_model_is_read(text, kind, name, target):
    ref = parse_reference(text)

    assert (ref.kind, ref.name, ref.target) == (kind, name, target)


def test_hub_reference_has_file_and_revision():
    ref = parse_reference("hf:acme/tiny/q4/tiny.gguf@refs/pr/1")

    assert (ref.target, ref.file, ref.revision) == ("acme/tiny", "q4/tiny.gguf", "refs/pr/1")
    assert str(parse_reference("hf:acme/tiny/tiny.gguf")) == "hf:acme/tiny/tiny.gguf@main"


def test_home_is_expanded_in_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert parse_reference("~/my.gguf").target == str(tmp_path / "my.gguf")


@pytest.mark.parametrize(
    "text",
    ["hf:", "hf:acme", "hf:acme/tiny", "hf:acme/tiny/model.bin", "hf:/tiny/a.gguf",
     "hf:acme/tiny/../../a.gguf",
     "hf:acme/tiny/\udcff.gguf", "hf:acme/tiny/\n.gguf",
     "registry:churn", "registry:@1", "ollama:", "openai:", "echo:"],
)  # fmt: skip
def test_a_malformed_reference_says_how_to_write_it(text):
    with pytest.raises(ConfigurationError, match="write "):
        parse_reference(text)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("smolm2-135m", "smollm2-135m"), ("Phi-4-Mini", "phi-4-mini"), ("llama3.2-3b", "llama-3.2-3b"),
     ("minilm", "all-minilm"), ("ecoh", "echo")],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(typo, meant):
    with pytest.raises(UnknownModelError, match=f"did you mean .*{meant}"):
        parse_reference(typo)


def test_a_name_like_no_other_gets_no_suggestion_but_a_next_step():
    with pytest.raises(UnknownModelError, match="octomil models") as caught:
        parse_reference("zzzzzz")

    assert "did you mean" not in str(caught.value)


def test_aliases_are_followed_before_the_catalog_and_keep_their_name():
    aliases = {"phi-4-mini": "small", "small": "smollm2-135m"}

    ref = parse_reference("phi-4-mini", aliases)

    assert (ref.name, ref.target) == ("phi-4-mini", "smollm2-135m")


def test_an_alias_may_lead_to_any_reference():
    ref = parse_reference("big", {"big": "hf:acme/tiny/tiny.gguf@v2"})

    assert (ref.name, ref.kind, ref.revision) == ("big", "hf", "v2")


@pytest.mark.parametrize("aliases", [{"a": "a"}, {"a": "b", "b": "c", "c": "a"}])
def test_aliases_in_a_circle_are_refused_with_the_circle(aliases):
    with pytest.raises(ConfigurationError, match=r"circle: a → .*a$"):
        parse_reference("a", aliases)


def test_an_alias_is_suggested_too():
    with pytest.raises(UnknownModelError, match="did you mean production"):
        parse_reference("producton", {"production": "smollm2-135m"})


def test_names_are_split_at_commas_and_spaces_once_each():
    assert split_names(["a,b", "c a", " d , "]) == ["a", "b", "c", "d"]


@given(st.text())
def test_any_text_is_read_or_refused_with_a_typed_error(text):
    try:
        ref = parse_reference(text)
    except OctomilError:
        return
    assert ref.name or ref.kind == "file"


@given(st.sampled_from([*CATALOG, "echo", "ollama:x", "registry:a@1", "hf:a/b/c.gguf@v1"]))
def test_writing_a_reference_and_reading_it_again_changes_nothing(text):
    ref = parse_reference(text)

    assert parse_reference(str(ref)) == ref
