"""Every block of the documents does what it says; every command in them is a command."""

from importlib import import_module
from pathlib import Path

import click
import pytest

from octomil.cli.main import COMMANDS
from support.documents import (
    LEFT_ALONE,
    ROOT,
    RUN,
    Block,
    Curl,
    blocks,
    commands,
    documents,
    fence_languages,
    run_javascript,
    run_python,
)

NOT_OURS = (["pip", "install"], ["npm", "install"])
"""Commands of other programs that the documents may show; they are not run."""

MODEL_FILES = ("mnist.onnx", "mnist.safetensors")
"""What the documents take for there."""

OF_THE_CONTROL_PLANE = ("client.md", "registry.md")
"""Documents whose Python needs a control plane; tests of their own run it."""


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_marked_with_a_language_that_is_dealt_with(path: Path):
    assert fence_languages(path) <= {*RUN, *LEFT_ALONE}


NODE_PYTHON = [block for block in blocks("python") if block.path.name not in OF_THE_CONTROL_PLANE]


@pytest.mark.parametrize("block", NODE_PYTHON, ids=str)
def test_python_runs(block: Block, documents_node):
    assert run_python(block.text, documents_node.url).strip()


@pytest.mark.node
@pytest.mark.parametrize("block", blocks("javascript"), ids=str)
def test_javascript_runs(block: Block, documents_node, node_folder):
    assert run_javascript(block.text, documents_node.url, node_folder).strip()


CURLS = [
    pytest.param(Curl.parse(words), id=f"{block}:{number}")
    for block in blocks("sh")
    for number, words in enumerate(commands(block.text), start=1)
    if words[0] == "curl"
]


@pytest.mark.parametrize("curl", CURLS)
def test_curl_is_answered(curl: Curl, documents_node):
    reply = curl.send(documents_node.url)

    assert reply.status_code == 200, reply.text
    assert reply.content


OTHERS = [
    pytest.param(words, id=f"{block}:{number}")
    for block in blocks("sh")
    for number, words in enumerate(commands(block.text), start=1)
    if words[0] != "curl"
]


@pytest.mark.parametrize("words", OTHERS)
def test_a_command_and_its_flags_exist(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in MODEL_FILES:
        Path(name).touch()
    if words[0] == "octomil":
        command: click.Command = import_module(f"octomil.cli.{words[1]}").command
        assert words[1] in COMMANDS
        rest = words[2:]
        if isinstance(command, click.Group):
            command, rest = command.commands[rest[0]], rest[1:]
        assert command.make_context(words[1], rest).params
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(f"\n{target}:" in makefile for target in words[1:])
    else:
        assert words[:2] in NOT_OURS


def test_the_documents_have_examples_of_every_kind():
    assert CURLS
    assert OTHERS
    assert all(blocks(language) for language in RUN)


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    import re

    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)", text)

    assert [t for t in targets if not (path.parent / t).exists()] == []
