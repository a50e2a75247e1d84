"""How much worse a version may be."""

import pytest

from octomil.rollouts.limits import Excess, Limits, LimitsError, spent_in


@pytest.mark.parametrize("bounds", [(-0.1, 0.1), (0.1, 0.1), (0.2, 0.1), (float("nan"), 1)])
def test_an_excess_needs_room_between_its_bounds(bounds: tuple[float, float]):
    with pytest.raises(LimitsError, match="excess"):
        Excess(*bounds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("false_alarm", 0),
        ("false_alarm", 0.5),
        ("missed", 1),
        ("expected_failures", -0.1),
        ("minimum_sample", 1),
        ("sufficient_sample", 199),
        ("devices", Excess(0, 1)),
        ("errors", Excess(0.5, 1.5)),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(name: str, value: object):
    with pytest.raises(LimitsError, match=name):
        Limits(**{name: value})


def test_a_latency_may_more_than_double():
    assert Limits(latency=Excess(1.0, 3.0)).latency.unacceptable == 3.0


def test_all_steps_together_spend_no_more_than_there_is():
    parts = [spent_in(step, 0.02) for step in range(1, 10_000)]

    assert parts[0] == 0.01
    assert parts == sorted(parts, reverse=True)
    assert 0.0199 < sum(parts) < 0.02
