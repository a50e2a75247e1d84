"""What is counted of a release, and what is nobody's business."""

import asyncio
import math

import pytest

from octomil.engines.pooled import HeldRelease
from octomil.errors import EngineCrashedError, GenerationError, InvalidRequestError
from octomil.serve.release_usage import ReleaseUsages
from support.manual_clock import ManualClock


def release(digest: str) -> HeldRelease:
    return HeldRelease(model_id="m", version="1", digest=digest, require_whole=lambda: None)


def call(usages: ReleaseUsages, digest: str, tier: str = "") -> None:
    with usages.call(release(digest), tier):
        pass


def test_rows_are_kept_apart_by_digest_and_tier():
    usages = ReleaseUsages()
    for digest, tier in (("a", "fast"), ("a", "fast"), ("a", "quality"), ("b", "fast")):
        call(usages, digest, tier)

    rows = {(row.model_id, row.digest, row.tier): row.requests for row in usages.take()}

    assert rows == {("m", "a", "fast"): 2, ("m", "a", "quality"): 1, ("m", "b", "fast"): 1}
    assert usages.take() == []


@pytest.mark.parametrize("error", [GenerationError("no"), EngineCrashedError("gone")])
def test_fault_of_the_engine_is_an_error_without_a_latency(error: Exception):
    usages = ReleaseUsages()

    with pytest.raises(type(error)), usages.call(release("a"), ""):
        raise error

    (row,) = usages.take()
    assert (row.requests, row.errors, row.log_latency_ms_sum) == (1, 1, 0.0)


@pytest.mark.parametrize("error", [InvalidRequestError("your fault"), asyncio.CancelledError()])
def test_what_the_client_did_is_not_counted(error: BaseException):
    usages = ReleaseUsages()

    with pytest.raises(type(error)), usages.call(release("a"), ""):
        raise error

    assert usages.take() == []


def test_what_nobody_released_is_not_counted():
    usages = ReleaseUsages()

    with usages.call(None, "fast"):
        pass

    assert usages.take() == []


def test_logarithms_of_milliseconds_are_summed():
    clock = ManualClock()
    usages = ReleaseUsages(clock)
    for seconds in (0.5, 2.0, 0.0):
        with usages.call(release("a"), ""):
            clock.advance(seconds)

    (row,) = usages.take()

    assert row.requests == 3
    expected = math.log(500) + math.log(2000) + math.log(0.001)
    assert row.log_latency_ms_sum == pytest.approx(expected)
