import inspect
import re

import pytest

from epochly import errors

TREE = dict(re.findall(r"^[│├└ ]*(\w+Error)(?: \((\w+)\))?", errors.__doc__, re.MULTILINE))
CLASSES = dict(inspect.getmembers(errors, inspect.isclass))


def test_the_tree_in_the_docstring_has_every_error():
    assert TREE.keys() == CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_is_ours_and_what_the_tree_says_it_also_is(name):
    kind = CLASSES[name]
    builtin = TREE[name]

    assert issubclass(kind, errors.EpochlyError)
    assert issubclass(kind, getattr(__import__("builtins"), builtin or "Exception"))
    assert kind.__doc__
