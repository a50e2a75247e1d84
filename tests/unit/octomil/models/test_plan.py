import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.models.catalog import CATALOG, HubFiles
from octomil.models.plan import plan_for
from octomil.models.references import parse_reference


def test_a_catalog_name_brings_its_entry_along():
    plan = plan_for(parse_reference("all-minilm"))

    assert plan.entry is CATALOG["all-minilm-l6-v2"]
    assert (plan.folder, plan.ref.name) == ("all-minilm-l6-v2", "all-minilm")


def test_a_hub_file_is_kept_under_the_name_of_its_format():
    plan = plan_for(parse_reference("hf:acme/tiny/q4/tiny.gguf@v2"))

    assert plan.sources == (HubFiles("acme/tiny", {"model.gguf": "q4/tiny.gguf"}, "v2"),)


PRINTABLE = st.characters(exclude_characters="@/", exclude_categories=["C", "Z"])


@pytest.mark.parametrize("text", ["echo", "ollama:x", "openai:x", "registry:x@1", "a/b.gguf"])
def test_other_kinds_have_nothing_to_fetch(text):
    assert plan_for(parse_reference(text)) is None


@given(st.text(PRINTABLE, min_size=1, max_size=300))
def test_folder_names_are_safe_whatever_the_hub_calls_its_files(name):
    plan = plan_for(parse_reference(f"hf:acme/tiny/{name}x.gguf"))

    assert re.fullmatch(r"[A-Za-z0-9._-]{1,120}", plan.folder)
    assert not plan.folder.startswith(".")
    assert not plan.folder.endswith((".partial", ".lock", ".replaced"))
