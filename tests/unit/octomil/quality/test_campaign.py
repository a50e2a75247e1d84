"""A scaled sample of `bench/regressions.py`, with its own seeds: the same draws each time."""

from bench.regressions import Version, flagged_after


def test_a_version_like_the_one_before_is_flagged_in_few_runs():
    flagged = flagged_after(1, 40, Version())

    assert sum(each is not None for each in flagged) <= 2


def test_a_version_that_is_ten_percent_slower_is_flagged():
    flagged = flagged_after(2, 10, Version(slowdown=0.1))

    assert None not in flagged


def test_a_version_that_is_faster_is_not():
    assert flagged_after(3, 3, Version(slowdown=-0.1)) == [None] * 3


def test_a_version_that_fails_more_often_is_flagged():
    assert None not in flagged_after(4, 10, Version(failures=0.08))
