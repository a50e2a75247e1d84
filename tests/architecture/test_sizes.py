"""Files and functions stay small.

A docstring is not counted, because it must not cost its author. A function inside another counts
for itself.
"""

import ast
from collections.abc import Iterator

import pytest

from support.documents import ROOT

FILE_LINES = 400
FUNCTION_LINES = 50

SOURCES = sorted((ROOT / "src").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the last statement, without the docstring and what counts for itself."""
    lines = _span(function)
    if ast.get_docstring(function, clean=False) is not None:
        lines -= _span(function.body[0])
    return lines - sum(_span(inner) for inner in function.body if isinstance(inner, Function))


def _span(node: ast.stmt) -> int:
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_and_its_functions_are_small(path):
    text = path.read_text(encoding="utf-8")
    large = {f.name: length(f) for f in functions(ast.parse(text)) if length(f) > FUNCTION_LINES}

    assert len(text.splitlines()) <= FILE_LINES
    assert large == {}


PROGRAM = '''
def outer():
    """One.

    Two.
    """

    def inner():
        return 1

    return inner
'''


def test_docstrings_and_inner_functions_are_left_out():
    assert {f.name: length(f) for f in functions(ast.parse(PROGRAM))} == {"outer": 4, "inner": 2}
