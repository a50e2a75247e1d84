"""Each documented name is found in `epochly.inference` and in its own area."""

import ast
import inspect
from importlib import import_module

import pytest

AREAS = tuple(
    f"epochly.inference.{area}" for area in ("breaker", "config", "context", "metrics", "privacy")
)
PACKAGES = ("epochly.inference", *AREAS)

WHOLE = import_module("epochly.inference")


@pytest.mark.parametrize("name", WHOLE.__all__)
def test_a_documented_name_is_a_class_of_ours_in_the_whole_and_in_one_area(name):
    offered = getattr(WHOLE, name)
    areas = [area for area in AREAS if name in import_module(area).__all__]

    assert offered.__name__ == name
    assert offered.__module__.startswith("epochly.inference.")
    assert {getattr(import_module(area), name) for area in areas} == {offered}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_list_has_no_name_twice_and_none_that_is_not_there(package):
    module = import_module(package)

    assert len(set(module.__all__)) == len(module.__all__)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_star_import_gives_the_public_list(package):
    namespace: dict[str, object] = {}

    exec(f"from {package} import *", namespace)

    assert namespace.keys() - {"__builtins__"} == set(import_module(package).__all__)


def test_the_whole_s_lists_are_one():
    """The table that imports at run time, the list for `*`, and what a type checker reads."""
    seen = {
        alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(WHOLE)))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("epochly.inference.")
        for alias in node.names
    }

    assert seen == WHOLE._HOMES
    assert WHOLE.__all__ == sorted(seen)
