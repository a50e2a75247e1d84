"""Whole steps of minutes and hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.time_steps import HOUR_S, MINUTE_S, minutes_since_s, whole_steps

NOW = datetime(2026, 11, 21, 12, 34, 56, 789, tzinfo=UTC)
SECONDS = st.integers(0, 10**9)


@pytest.mark.parametrize(("kept_h", "hour"), [(0, 12), (0.5, 12), (0.6, 11), (2, 10)])
def test_minutes_are_told_apart_since_a_whole_hour(kept_h: float, hour: int):
    found = minutes_since_s(NOW, timedelta(hours=kept_h))

    assert datetime.fromtimestamp(found, UTC) == datetime(2026, 11, 21, hour, tzinfo=UTC)


@given(SECONDS, SECONDS, st.integers(1, 1_440), SECONDS)
def test_steps_cover_what_is_asked_for_and_hardly_more(
    since_s: int, length_s: int, minutes: int, hours: int
):
    until_s, minutes_from_s = since_s + length_s + 1, hours * HOUR_S

    steps = whole_steps(since_s, until_s, minutes * MINUTE_S, minutes_from_s)

    assert steps.since_s <= since_s < steps.since_s + steps.step_s
    assert steps.until_s - steps.step_s < until_s <= steps.until_s
    assert steps.number * steps.step_s == steps.until_s - steps.since_s
    assert steps.start_of(steps.since) == steps.since
    is_by_hours = since_s < minutes_from_s
    assert steps.step_s >= minutes * MINUTE_S
    assert steps.step_s % (HOUR_S if is_by_hours else MINUTE_S) == 0
