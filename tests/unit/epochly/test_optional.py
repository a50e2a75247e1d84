import sys

import pytest

from epochly._optional import available, require
from epochly.errors import MissingDependencyError


@pytest.fixture
def folder_of_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("optional_probe")]:
        del sys.modules[name]


def test_what_is_installed_is_imported():
    import json.decoder

    assert require("json.decoder", purpose="reading") is json.decoder


@pytest.mark.parametrize(
    ("module", "package", "named"),
    [
        ("no_such_module.inner", None, "no-such-module"),
        ("json.no_such_module", None, "json"),
        ("no_such_module", "its-package", "its-package"),
    ],
)
def test_what_is_missing_is_named_with_its_purpose(module, package, named):
    with pytest.raises(MissingDependencyError) as refused:
        require(module, package=package, purpose="encryption at rest")

    assert str(refused.value) == (
        f"encryption at rest needs the package '{named}': pip install {named}"
    )
    assert isinstance(refused.value, ImportError)


def test_a_module_that_fails_by_itself_raises_its_own_error(folder_of_modules):
    (folder_of_modules / "optional_probe.py").write_text("import no_such_thing\n")

    with pytest.raises(ModuleNotFoundError, match="no_such_thing") as failed:
        require("optional_probe", purpose="anything")

    assert not isinstance(failed.value, MissingDependencyError)


def test_asking_imports_nothing(folder_of_modules):
    (folder_of_modules / "optional_probe_2.py").write_text("raise RuntimeError\n")

    assert available("optional_probe_2")
    assert "optional_probe_2" not in sys.modules
    assert available("json.decoder")
    assert not available("no_such_module")
    assert not available("no_such_module.inner")
