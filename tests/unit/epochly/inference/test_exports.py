"""Each documented name is found in `epochly.inference` and in its own area."""

import ast
import inspect
from importlib import import_module

import pytest

PACKAGES = ("epochly.inference", "epochly.inference.metrics", "epochly.inference.privacy")

NAMES = [(package, name) for package in PACKAGES for name in import_module(package)._HOMES]


@pytest.mark.parametrize(("package", "name"), NAMES, ids=map(".".join, NAMES))
def test_an_exported_name_is_a_class_of_ours(package, name):
    offered = getattr(import_module(package), name)

    assert offered.__name__ == name
    assert offered.__module__.startswith("epochly.inference.")


def test_an_area_and_the_whole_offer_the_same():
    areas = {name: package for package, name in NAMES if package != "epochly.inference"}
    whole = import_module("epochly.inference")

    for name in areas.keys() & set(whole.__all__):
        assert getattr(import_module(areas[name]), name) is getattr(whole, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_list_is_sorted_and_complete(package):
    module = import_module(package)

    assert module.__all__ == sorted(module._HOMES)
    assert set(module.__all__) <= set(dir(module))


def test_a_type_checker_sees_what_is_there():
    module = import_module("epochly.inference")
    seen = {
        alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("epochly.inference.")
        for alias in node.names
    }

    assert seen == module._HOMES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_star_import_gives_the_public_list(package):
    namespace: dict[str, object] = {}

    exec(f"from {package} import *", namespace)

    assert namespace.keys() - {"__builtins__"} == set(import_module(package).__all__)
