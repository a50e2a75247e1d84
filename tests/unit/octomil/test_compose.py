"""The composition root, as far as it decides by itself; nothing is loaded here."""

from pathlib import Path

import pytest

from octomil.compose import build_node
from octomil.config import Settings
from octomil.errors import ConfigurationError
from octomil.models.local import LocalModel
from octomil.models.references import ModelRef, parse_reference
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions

SETTINGS = Settings.from_env({"OCTOMIL_MODEL_ALIASES": "words=all-minilm,tiny=echo:small"})


def local(ref: ModelRef) -> LocalModel | None:
    """An embedding model that is said to be here, or nothing for the demo engine."""
    if not ref.has_files:
        return None
    return LocalModel(
        name=ref.name,
        reference=str(ref),
        kind="embedding",
        format="onnx",
        path=Path("model.onnx"),
        files={},
        size_bytes=1,
        parameters=None,
        license=None,
        context_length=None,
        chat_template=None,
        supports_tools=False,
        sha256={},
        source="a test",
    )


def node_of(*names: str, **options: object) -> Node:
    refs = [parse_reference(name, SETTINGS.model_aliases) for name in names]
    chosen = ServeOptions(models=names, **options)
    return build_node(SETTINGS, chosen, [(ref, local(ref)) for ref in refs], log=None)


@pytest.mark.parametrize("name", ["all-minilm", "all-minilm-l6-v2", "words"])
def test_embedder_answers_to_each_of_its_names_and_to_none(name):
    node = node_of("echo:small", name)

    for asked in (name, "all-minilm", "all-minilm-l6-v2", "auto"):
        assert node.embedding_model(asked) == name


def test_embedder_that_comes_by_itself_answers_to_each_of_its_names():
    node = node_of("echo:small")

    for asked in ("all-minilm", "all-minilm-l6-v2", "auto"):
        assert node.embedding_model(asked) == "all-minilm-l6-v2"


def test_model_answers_to_the_reference_that_was_typed():
    node = node_of("echo:small", "tiny", "echo", "ollama:llama3.2:3b")

    for typed, name in (("echo:small", "small"), ("ollama:llama3.2:3b", "llama3.2:3b")):
        assert node.short_names[typed] == name
    assert not node.short_names.keys() & node.models.keys()


@pytest.mark.parametrize("name", ["echo:auto", "echo:tier0", "ollama:auto"])
def test_name_that_the_router_needs_is_not_served(name):
    with pytest.raises(ConfigurationError, match="is a name of the router's own") as caught:
        node_of("echo:small", name)

    assert repr(name.partition(":")[2]) in str(caught.value)


def test_routing_among_embedders_alone_is_refused_with_the_way_out():
    with pytest.raises(ConfigurationError, match="--auto-route") as caught:
        node_of("all-minilm", auto_route=True)

    assert "all-minilm only makes embeddings; name a model that writes text" in str(caught.value)
