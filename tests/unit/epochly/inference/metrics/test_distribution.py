import itertools

import pytest

from epochly.inference.metrics.buckets import FINE_S, LATENCY_S, TOKENS, edges_of
from epochly.inference.metrics.distribution import Distribution, Exemplar, together


def spread(*values: float, bounds=(1.0, 2.0, 4.0)) -> Distribution:
    seen = Distribution(bounds)
    for value in values:
        seen.add(value)
    return seen


def test_value_on_an_edge_belongs_below_it():
    seen = spread(0.5, 1.0, 1.5, 2.0, 4.0, 4.1)

    assert seen.counts == [2, 2, 1, 1]
    assert (seen.count, seen.total) == (6, pytest.approx(13.1))
    assert seen.mean == pytest.approx(13.1 / 6)


def test_empty_distribution_has_zeros_everywhere():
    seen = spread()

    assert (seen.count, seen.mean, seen.quantile(0.5)) == (0, 0.0, 0.0)
    assert seen.cumulative(seen.positions((1.0, 4.0))) == [0, 0, 0]


def test_cumulative_counts_are_exact_at_bounds_and_take_the_lower_one_between():
    seen = spread(0.5, 1.5, 3.0, 9.0)

    assert seen.cumulative(seen.positions((1.0, 2.0, 4.0))) == [1, 2, 3, 4]
    assert seen.cumulative(seen.positions((0.5, 3.9, 100.0))) == [0, 2, 3, 4]
    assert seen.counts_between((1.0, 4.0)) == [1, 2, 1]


def test_quantile_is_read_inside_its_bucket():
    seen = spread(*[1.5] * 100)

    assert seen.quantile(0.5) == pytest.approx(1.5)
    assert seen.quantile(1.0) == pytest.approx(2.0)
    assert spread(100.0).quantile(0.5) == 4.0


def test_copy_keeps_what_was_known_and_no_more():
    seen = spread(1.5)
    seen.keep(Exemplar("t1", 1.5))
    before = seen.copy()

    seen.add(0.5)
    seen.keep(Exemplar("t2", 0.5))

    assert (before.counts, before.total) == ([0, 1, 0, 0], 1.5)
    assert before.exemplars == {1: Exemplar("t1", 1.5)}


def test_parts_add_up_and_stay_as_they_were():
    first, second = spread(0.5, 3.0), spread(3.5)
    first.keep(Exemplar("t1", 3.0))
    second.keep(Exemplar("t2", 0.1))

    both = together([first, second], first.bounds)
    first.merge(second)

    for whole in (both, first):
        assert whole.counts == [1, 0, 2, 0]
        assert whole.total == 7.0
        assert set(whole.exemplars.values()) == {Exemplar("t1", 3.0), Exemplar("t2", 0.1)}
    assert second.counts == [0, 0, 1, 0]
    assert together([], (1.0,)).counts == [0, 0]


def test_newest_exemplar_of_a_bucket_is_kept():
    seen = spread()

    seen.keep(Exemplar("old", 1.5))
    seen.keep(Exemplar("new", 1.6))

    assert seen.exemplars == {1: Exemplar("new", 1.6)}


def test_edges_are_sorted_distinct_and_finite():
    assert edges_of([2, 0.5, 2.0, float("inf")]) == (0.5, 2.0)


@pytest.mark.parametrize("edges", [[], [0.0, 1.0], [-1.0], [float("nan")], [float("inf")]])
def test_edges_that_make_no_histogram_are_refused(edges):
    with pytest.raises(ValueError, match="positive numbers"):
        edges_of(edges)


@pytest.mark.parametrize("edges", [FINE_S, LATENCY_S, TOKENS])
def test_shipped_edges_are_in_order(edges):
    assert edges_of(edges) == edges


def test_fine_edges_are_a_tenth_apart():
    ratios = [high / low for low, high in itertools.pairwise(FINE_S)]

    assert (FINE_S[0], FINE_S[-1]) == (1e-5, 1000.0)
    assert max(ratios) < 1.105
