"""The rate limiter's arithmetic, against a bucket that drips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.gcra import RateLimit, decide
from octomil.errors import ConfigurationError


@given(
    requests=st.integers(1, 50),
    window_s=st.sampled_from([1, 60, 3600]),
    steps=st.lists(st.floats(0, 100), max_size=60),
)
def test_it_decides_as_a_bucket_does_that_drips(requests: int, window_s: int, steps: list[float]):
    limit, full_at_s, now_s = RateLimit(requests, window_s), 0.0, 0.0
    level = float(requests)
    for step_s in steps:
        now_s += step_s
        level = min(requests, level + step_s / limit.interval_s)
        full_at_s, decision = decide(limit, full_at_s, now_s)
        if abs(level - round(level)) > 1e-6:  # at the edge the two may round differently
            assert decision.allowed is (level >= 1)
        level -= decision.allowed
        assert decision.remaining == pytest.approx(level, abs=1.0001)
        assert decision.reset_s == pytest.approx((requests - level) * limit.interval_s, abs=1e-3)


def test_a_burst_passes_and_then_one_for_each_interval():
    limit, full_at_s, passed = RateLimit(5, 1), 0.0, []
    for step in range(40):
        now_s = 100 + step / 20
        full_at_s, decision = decide(limit, full_at_s, now_s)
        passed.append(decision.allowed)

    assert passed[:5] == [True] * 5
    assert sum(passed) == 5 + 9  # 1.95 s at 5 a second


def test_who_waits_as_long_as_told_passes_and_who_comes_earlier_does_not():
    limit, full_at_s = RateLimit(2, 60), 0.0
    for _ in range(2):
        full_at_s, _ = decide(limit, full_at_s, 1000.0)
    _, refused = decide(limit, full_at_s, 1010.0)

    assert (refused.allowed, refused.remaining, refused.retry_after_s) == (False, 0, 20.0)
    assert not decide(limit, full_at_s, 1029.9)[1].allowed
    assert decide(limit, full_at_s, 1030.0)[1].allowed


@pytest.mark.parametrize(
    ("text", "limit"),
    [("100/m", RateLimit(100, 60)), ("1/s", RateLimit(1, 1)), ("5/h", RateLimit(5, 3600)),
     ("off", None)],
)  # fmt: skip
def test_a_limit_is_read_and_written_alike(text: str, limit: RateLimit | None):
    assert RateLimit.parse(text) == limit
    if limit is not None:
        assert str(limit) == text


@pytest.mark.parametrize("text", ["", "100", "0/s", "-1/s", "1/d", "x/s", "1.5/s", "²/s", "/s"])
def test_what_is_no_limit_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="100/m"):
        RateLimit.parse(text)
