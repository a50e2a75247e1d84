"""What was seen, and who counts."""

import pytest

from octomil.rollouts.evidence import Arm, Observation, counted


def test_only_who_was_well_before_and_has_ended_counts():
    found = counted([True, True, False, False], [True, False, True, False])

    assert found.tolist() == [True, False, False, False]


def test_more_cannot_fail_than_there_are():
    with pytest.raises(ValueError, match="3 of 2"):
        Arm(devices=2, failed=3)
    with pytest.raises(ValueError, match="-1 of 2"):
        Arm(devices=2, failed=-1)


def test_nothing_was_seen_at_first():
    assert Observation(fleet=10).candidate == Arm(devices=0, failed=0, under_way=0)
