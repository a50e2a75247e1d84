"""The examples in docstrings give what they say."""

import doctest
from importlib import import_module

import pytest

from support.documents import ROOT

SOURCE = ROOT / "src"


def modules_with_examples() -> list[str]:
    """Every module of ours that has an example."""
    return [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(SOURCE.rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_say(name: str):
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)

    assert result.attempted > 0
    assert result.failed == 0


def test_the_documents_own_tools_keep_their_word():
    import support.documents

    assert doctest.testmod(support.documents).failed == 0
