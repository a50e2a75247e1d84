"""The variables that are no settings: named in one place, and read there alone."""

import re

import pytest

from epochly.inference.config.variables import HSM_KEY_LABEL, HSM_PIN, VARIABLES
from support.documents import ROOT

PACKAGE = ROOT / "src" / "epochly"


@pytest.mark.parametrize("environ", [{}, {"EPOCHLY_HSM_KEY_LABEL": ""}])
def test_a_variable_that_is_unset_or_empty_has_its_default(environ):
    assert HSM_KEY_LABEL.read(environ) == "epochly"
    assert HSM_PIN.read(environ) == ""


def test_a_variable_that_is_set_has_its_value():
    assert HSM_KEY_LABEL.read({"EPOCHLY_HSM_KEY_LABEL": "other"}) == "other"


def test_no_other_module_reads_one_by_itself():
    """Elsewhere a variable's name may stand in a docstring or a message, never alone as a text."""
    names = "|".join(variable.name for variable in VARIABLES)
    alone = re.compile(rf"""["'](?:{names}|EPOCHLY_\w+)["']""")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if alone.search(path.read_text(encoding="utf-8"))
    }

    assert found <= {
        "inference/config/variables.py",
        "inference/config/environment.py",
        "inference/config/loading.py",  # in an example
    }
