"""Places of devices: published, even, nested."""

import hashlib
import re

import pytest

from octomil.rollouts.buckets import (
    PLACES,
    is_included,
    place_behind,
    place_of,
    salt_prefix,
    thousandths,
    threshold,
)
from support.documents import ROOT

VECTORS = re.findall(
    r'^\| `"(.*?)"` \| `"(.*?)"` \| `0x([0-9a-f]{16})` \|',
    (ROOT / "docs/rollouts.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_vectors_are_published():
    assert len(VECTORS) >= 6


@pytest.mark.parametrize(("salt", "device_id", "place"), VECTORS)
def test_places_are_those_that_were_published(salt: str, device_id: str, place: str):
    assert f"{place_of(salt, device_id):016x}" == place
    assert place_behind(salt_prefix(salt), device_id.encode()) == int(place, 16)


def test_a_place_is_what_the_document_says_in_words():
    raw = b"\0\0\0\5rol_1" + b"\0\0\0\5dev_1"

    assert place_of("rol_1", "dev_1") == int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")


def test_no_salt_and_id_run_into_each_other():
    assert place_of("ab", "c") != place_of("a", "bc")


@pytest.mark.parametrize(
    ("percentage", "units"), [(0, 0), (0.001, 1), (0.1, 100), (33.333, 33_333), (100, 100_000)]
)
def test_percentages_are_whole_thousandths(percentage: float, units: int):
    assert thousandths(percentage) == units
    assert threshold(percentage) == units * PLACES // 100_000


@pytest.mark.parametrize("percentage", [-0.001, 100.001, float("nan"), float("inf"), 0.0001, 1 / 3])
def test_what_is_no_percentage_or_too_fine_is_refused(percentage: float):
    with pytest.raises(ValueError, match="percentage"):
        threshold(percentage)


def test_a_share_has_about_as_many_devices_as_it_says():
    fleet = [f"dev_{number}" for number in range(20_000)]

    for percentage in (0.1, 1, 10, 50):
        share = percentage / 100
        found = sum(is_included("rol_even", each, percentage) for each in fleet)
        spread = (len(fleet) * share * (1 - share)) ** 0.5
        assert abs(found - len(fleet) * share) < 4 * spread


def test_another_salt_shuffles_the_fleet():
    fleet = [f"dev_{number}" for number in range(20_000)]
    first, second = (
        {each for each in fleet if is_included(salt, each, 10)} for salt in ("rol_a", "rol_b")
    )

    assert 0.07 < len(first & second) / len(first) < 0.13


def test_everybody_is_in_the_whole_and_nobody_in_nothing():
    fleet = [f"dev_{number}" for number in range(1_000)]

    assert all(is_included("rol_1", each, 100) for each in fleet)
    assert not any(is_included("rol_1", each, 0) for each in fleet)
