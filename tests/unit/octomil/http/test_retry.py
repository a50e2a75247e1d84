import random
from datetime import UTC, datetime

import pytest

from octomil.http.retry import Backoff, Retries, TemporaryHttpError, parse_retry_after

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("\u00b2", None),
        ("Sat, 21 Nov 2026 12:00:30 +99999999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


def test_delays_grow_up_to_the_bound_and_end():
    backoff = Backoff(attempts=6, first_s=1.0, longest_s=4.0)

    delays = [backoff.delay_s(n, retry_after_s=None, jitter=0.999999) for n in range(1, 7)]

    assert delays[:5] == pytest.approx([1, 2, 4, 4, 4], rel=1e-3)
    assert delays[5] is None


def test_jitter_takes_off_at_most_half():
    backoff = Backoff(first_s=1.0)

    assert backoff.delay_s(1, retry_after_s=None, jitter=0.0) == 0.5


def test_server_decides_the_delay_unless_it_asks_for_too_long():
    backoff = Backoff(longest_s=30.0)

    assert backoff.delay_s(1, retry_after_s=12.0, jitter=0.3) == 12.0
    assert backoff.delay_s(1, retry_after_s=3600.0, jitter=0.3) is None


def test_retries_wait_then_raise_the_last_failure():
    slept: list[float] = []
    said: list[str] = []
    retries = Retries(
        Backoff(attempts=3), sleep=slept.append, rng=random.Random(7), on_wait=said.append
    )
    failure = TemporaryHttpError("no answer", retry_after_s=2.0)

    retries.wait(failure)
    retries.wait(failure)
    with pytest.raises(TemporaryHttpError, match="no answer"):
        retries.wait(failure)

    assert slept == [2.0, 2.0]
    assert said == ["no answer; trying again in 2.0 s"] * 2


def test_success_forgets_earlier_failures():
    slept: list[float] = []
    retries = Retries(Backoff(attempts=2), sleep=slept.append, rng=random.Random(7))

    for _ in range(5):
        retries.wait(TemporaryHttpError("cut"))
        retries.succeeded()

    assert len(slept) == 5
