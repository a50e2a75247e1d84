"""Buckets: whose they are, where they are, and what becomes of them."""

from octomil.control.gcra import RateLimit
from octomil.control.services.callers import Caller
from octomil.control.services.rate_limits import Limits, LocalLimits, RateLimits

ONE = RateLimit(1, 60)


async def test_each_caller_has_a_bucket_of_its_own():
    limits = RateLimits(Limits(key=ONE, device=RateLimit(2, 60)), clock_s=lambda: 5.0)
    keys = [Caller("acme", f"key:{name}", ("*",)) for name in "aba"]
    device = Caller("acme", "device:d", (), device_id="d")

    by_key = [(await limits.take(key)).allowed for key in keys]
    by_device = [(await limits.take(device)).allowed for _ in range(3)]

    assert by_key == [True, True, False]
    assert by_device == [True, True, False]
    assert limits.counts() == {"refused": 2, "unshared": 0}


async def test_without_a_limit_nobody_is_counted():
    limits = RateLimits(Limits())

    assert await limits.take(Caller("acme", "key:a", ())) is None
    assert limits.take_for_device("d") is None


def test_full_buckets_are_forgotten():
    now_s = 0.0
    limits = LocalLimits(lambda: now_s)
    for number in range(10_000):
        now_s = number * 0.1
        limits.take(str(number), RateLimit(10, 10))

    assert len(limits) <= 2048
    assert limits.take("9999", RateLimit(10, 10)).remaining == 8  # those in use are not
