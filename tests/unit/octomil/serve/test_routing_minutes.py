"""What a control plane is told of a minute: sums by model and tier, each request once."""

from typing import Any

import pytest

from octomil.engines.base import Usage
from octomil.routing.prices import Price
from octomil.serve.observation import Observation, Spent
from octomil.serve.recorder import Recorder
from octomil.serve.routing_minutes import RoutingMinutes
from octomil.serve.stats import RoutingStats
from octomil.wire.routing_series import RoutingRow

PRICES = {"small": Price(1.0, 2.0), "large": Price(10.0, 20.0)}


class Told:
    """A recorder whose minutes are told."""

    def __init__(self, prices: dict[str, Price] | None = None) -> None:
        self.now_s = 600.0
        self.stats = RoutingStats(["small", "large"])
        self.minutes = RoutingMinutes(
            self.stats.largest, self.stats.paces, (PRICES if prices is None else prices).get,
            lambda: self.now_s,
        )  # fmt: skip
        self.recorder = Recorder(self.stats)
        self.recorder.minutes = self.minutes

    def seen(self, model: str = "small", tier: int = 1, **known: Any) -> None:
        self.recorder.record(observed(model, tier, **known))

    def rows(self) -> dict[tuple[str, int], RoutingRow]:
        ((_, rows),) = self.minutes.take()
        return {(row.model, row.tier): row for row in rows}


def observed(model: str = "small", tier: int = 1, **known: Any) -> Observation:
    given = {"outcome": "stop", "routed": True, "routing_s": 3e-6, **known}
    return Observation(model=model, tier=tier, **given)


def test_requests_are_summed_up_by_the_minute_that_they_left_in():
    told = Told()
    told.seen()
    told.now_s = 659.9
    told.seen(usage=Usage(3, 20), cost_usd=0.5)
    told.now_s = 660.0
    told.seen("tier0", 0, routing_s=1e-9)

    (first, second) = told.minutes.take()

    assert (first[0], second[0]) == (600, 660)
    (small,) = first[1]
    sums = (small.requests, small.routed, small.routing_us, small.prompt_tokens,
            small.completion_tokens, small.cost_usd)  # fmt: skip
    assert sums == (2, 2, 6, 3, 20, 0.5)
    assert (small.routing_us_buckets[2], sum(small.routing_us_buckets)) == (2, 2)
    (tier0,) = second[1]
    assert (tier0.model, tier0.tier, tier0.routing_us_buckets[0]) == ("tier0", 0, 1)
    assert told.minutes.take() == []


@pytest.mark.parametrize(
    ("routing_us", "bucket"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (2**18, 18), (10**9, 19)]
)
def test_routing_times_fall_into_buckets_twice_as_wide_each(routing_us: int, bucket: int):
    told = Told()
    told.seen(routing_s=routing_us / 1e6)
    (row,) = told.rows().values()
    assert row.routing_us_buckets[bucket] == sum(row.routing_us_buckets) == 1


def test_what_ended_otherwise_counts_as_that():
    told = Told()
    told.seen(outcome="error:engine_crashed", usage=Usage(3, 2))
    told.seen(outcome="cancelled")
    told.seen(routed=False)
    told.seen("", -1, routed=False, outcome="error:unknown_model")

    (row,) = told.rows().values()

    assert (row.requests, row.routed, row.errors) == (3, 2, 1)
    assert (row.prompt_tokens, row.saved_usd, row.largest_s) == (3, 0.0, 0.0)


def test_tasks_and_answers_in_vain_count_with_the_models_that_did_them():
    told = Told()
    dropped = Spent("small", 1, Usage(4, 6), 0.25)
    broken = Spent("small", 1, Usage(1, 1), 0.0)
    escalated = observed("large", 3, usage=Usage(5, 40), dropped=[dropped], broken=[broken])
    parts = [observed("tier0", 0), escalated]
    told.seen("large", 3, subtasks=parts, usage=Usage(5, 40))

    rows = told.rows()

    large, small, tier0 = rows["large", 3], rows["small", 1], rows["tier0", 0]
    assert (large.requests, large.subtasks, large.completion_tokens) == (1, 1, 40)
    assert (small.requests, small.escalations, small.prompt_tokens) == (0, 1, 5)
    assert (small.completion_tokens, small.cost_usd) == (7, 0.25)
    assert (tier0.requests, tier0.subtasks) == (0, 1)


def test_what_was_saved_is_what_the_statistics_say():
    told = Told()
    told.stats.observe_speed("small", 100, 1.0)
    told.stats.observe_speed("large", 100, 10.0)
    told.seen(usage=Usage(3, 200), cost_usd=PRICES["small"].cost_usd(3, 200))
    unsure = Spent("small", 1, Usage(4, 50), PRICES["small"].cost_usd(4, 50))
    paid = PRICES["large"].cost_usd(4, 100)
    told.seen("large", 3, usage=Usage(4, 100), cost_usd=paid, dropped=[unsure])

    rows = told.rows().values()

    savings = told.stats.savings()
    assert savings is not None
    largest_s, saved_s = (sum(getattr(row, name) for row in rows) for name in
                          ("largest_s", "saved_s"))  # fmt: skip
    assert largest_s == pytest.approx(300 * 0.1)
    assert saved_s / largest_s == pytest.approx(savings.compute_ratio)
    assert saved_s / 2 == pytest.approx(savings.latency_reduction_s)
    expected = PRICES["large"].cost_usd(3, 200) - PRICES["small"].cost_usd(3, 200)
    saved_usd = sum(row.saved_usd for row in rows)
    assert saved_usd == pytest.approx(expected - PRICES["small"].cost_usd(4, 50))


def test_where_a_speed_or_a_price_is_missing_nothing_was_saved():
    told = Told(prices={})
    told.stats.observe_speed("large", 100, 10.0)
    told.seen(usage=Usage(3, 200), cost_usd=None)
    told.seen("large", 3, usage=Usage(3, 200), cost_usd=None)

    for row in told.rows().values():
        assert (row.largest_s, row.saved_s, row.saved_usd, row.cost_usd) == (0, 0, 0, 0)


def test_a_name_is_told_as_it_can_be_stored():
    told = Told()
    told.seen("a\nb" + "c" * 300)
    ((model, _),) = told.rows()
    assert model == "a b" + "c" * 252
