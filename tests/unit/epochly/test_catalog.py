import sys
from types import ModuleType

import pytest

from epochly._catalog import lazy_exports


@pytest.fixture
def package(monkeypatch) -> ModuleType:
    """A package that offers one name of the standard library."""
    module = ModuleType("lazy_package")
    monkeypatch.setitem(sys.modules, "lazy_package", module)
    homes = {"OrderedDict": "collections", "absent": "no_such_module_at_all"}
    module.__getattr__, module.__dir__ = lazy_exports("lazy_package", homes)
    return module


def test_a_name_is_imported_when_it_is_used(package):
    from collections import OrderedDict

    assert "OrderedDict" not in vars(package)
    assert package.OrderedDict is OrderedDict
    assert vars(package)["OrderedDict"] is OrderedDict


def test_all_names_are_listed_before_any_is_imported(package):
    assert {"OrderedDict", "absent", "__name__"} <= set(dir(package))
    assert dir(package) == sorted(dir(package))
    assert "OrderedDict" not in vars(package)


def test_an_unknown_name_is_an_ordinary_error(package):
    with pytest.raises(AttributeError, match="'lazy_package' has no attribute 'nonsense'"):
        _ = package.nonsense


def test_a_home_that_cannot_be_imported_says_so_itself(package):
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        _ = package.absent
