import pytest

from octomil.engines.base import Pace, Timing, Usage


@pytest.mark.parametrize(
    ("first_tokens", "tokens", "pace"),
    [(1, 21, Pace(20, 2.0)), (16, 20, Pace(4, 2.0)), (1, 1, None), (16, 16, None), (1, 0, None)],
)
def test_tokens_that_came_with_the_first_took_no_time_after_it(first_tokens, tokens, pace):
    timing = Timing()
    timing.begin(10.0, tokens=first_tokens)
    timing.last_at = 12.0

    assert timing.pace(tokens) == pace


def test_answer_that_has_not_begun_has_no_pace():
    assert Timing().pace(20) is None


def test_first_tokens_are_at_least_one_though_the_engine_has_counted_none():
    timing = Timing()

    timing.begin(10.0, tokens=0)

    assert timing == Timing(first_at=10.0, first_tokens=1, last_at=10.0)


def test_usage_of_one_answer_takes_the_place_of_another_s():
    usage, other = Usage(1, 2, 3, "length"), Usage(4, 5, 6, None)

    usage.become(other)

    assert usage == other
