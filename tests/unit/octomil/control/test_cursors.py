"""Cursors come back as they went out, and nothing else is one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.cursors import cursor_of, read_cursor, read_moment
from octomil.control.moments import in_utc, shown
from octomil.errors import BadRequestError

parts = st.lists(st.text(st.characters(codec="utf-8")) | st.integers(-(2**63), 2**63), max_size=3)


@given(st.text(max_size=5), parts)
def test_a_place_comes_back(order: str, place: list):
    text = cursor_of(order, *place)

    assert text.isascii()
    if any("\0" in str(part) for part in place):
        with pytest.raises(BadRequestError):
            read_cursor(text, order, len(place))
        return
    assert read_cursor(text, order, len(place)) == place
    assert read_cursor(None, order, 1) is None
    with pytest.raises(BadRequestError):
        read_cursor(text, order + "x", len(place))
    with pytest.raises(BadRequestError):
        read_cursor(text, order, len(place) + 1)


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_anything_else_is_refused(text: str):
    with pytest.raises(BadRequestError):
        read_cursor(text, "id", 1)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_in_a_cursor_comes_back(moment: datetime):
    assert read_moment(shown(moment)) == moment


@pytest.mark.parametrize("text", ["", "x", 7, "2026-01-01", "2026-01-01T00:00:00",
                                  "2026-01-01T00:00:00+01:00"])  # fmt: skip
def test_what_is_no_moment_in_utc_is_refused(text):
    with pytest.raises(BadRequestError):
        read_moment(text)


@given(st.datetimes(timezones=st.timezones()))
def test_every_moment_has_one_in_utc(moment: datetime):
    found = in_utc(moment)

    assert found.tzinfo is UTC
    if 1 < moment.year < 9999:
        assert found.timestamp() == moment.timestamp()  # `==` denies the hours a clock skips
