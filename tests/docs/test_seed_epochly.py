"""The published reference of Epochly: each of its snippets is waiting for a name it uses.

The parts that are there have no snippets; `tests/surface.toml` holds their names.
"""

import hashlib
import pkgutil
import tomllib

import pytest

from support.documents import ROOT
from support.needs import skip_or_fail
from support.seed_document import FOLDER, Snippet, read_lines, usages

TABLE = tomllib.loads((ROOT / "tests/docs/epochly_snippets.toml").read_text(encoding="utf-8"))

later = pytest.mark.parametrize("entry", TABLE["later"], ids=lambda e: f"line {e['line']}")


@pytest.fixture(scope="session")
def snippets() -> dict[int, Snippet]:
    lines = read_lines(TABLE["document"]["file"])
    if lines is None:
        skip_or_fail(f"the published documents are not at {FOLDER}")
    return {snippet.line: snippet for snippet in usages(lines)}


def test_the_table_describes_this_very_document(snippets):
    data = (FOLDER / TABLE["document"]["file"]).read_bytes()

    assert hashlib.sha256(data).hexdigest() == TABLE["document"]["sha256"]


def test_every_snippet_is_listed_once(snippets):
    assert [entry["line"] for entry in TABLE["later"]] == sorted(snippets)


@later
def test_what_comes_later_uses_a_name_that_is_not_there_yet(entry, snippets):
    assert entry["needs"].rpartition(".")[2] in snippets[entry["line"]].text
    with pytest.raises((AttributeError, ImportError)):
        pkgutil.resolve_name(entry["needs"])
