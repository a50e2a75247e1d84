from fractions import Fraction

import pytest

from octomil.routing.arithmetic import Intent
from octomil.routing.operations import compute_operation


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("sum of 2, 3 and 4", 9),
        ("sum of 0.5, 0.25, and 0.25", 1),
        ("sum of twenty and five", 25),
        ("add 5 to -7", -2),
        ("product of 2, 3 and 4", 24),
        ("average of 1, 2 and 4", Fraction(7, 3)),
        ("subtract 3 from 18", 15),
        ("multiply 6 by 7", 42),
        ("divide 180 by 20", 9),
        ("quotient of 1 and 8", Fraction(1, 8)),
        ("remainder when 29 is divided by 6", 5),
        ("17 mod 5", 2),
        ("half of 7", Fraction(7, 2)),
        ("a third of 90", 30),
        ("one quarter of 100", 25),
        ("twice 21", 42),
        ("square of -4", 16),
        ("cube of 3", 27),
    ],
)
def test_named_operation_is_computed(query: str, value: Fraction) -> None:
    assert compute_operation(query, Intent.BARE) == value


@pytest.mark.parametrize(
    "query",
    [
        "sum of 5",
        "sum of 1 to 10",
        "sum of two hundred and fifty",
        "sum of 5 and 3 times 2",
        "half of 10 plus 5",
        "half of 1/2",
        "divide 10 by 0",
        "-17 mod 5",
        "17 mod 0",
        "1.5 mod 1",
        "sum of apples and pears",
        "product of 2 and",
        "a x",
        "mod",
        "average of 2024-01-15",
        "",
    ],
)
def test_anything_else_passes_on(query: str) -> None:
    assert compute_operation(query, Intent.CALCULATE) is None


def test_difference_is_computed_only_when_asked_to_calculate() -> None:
    assert compute_operation("difference between 4 and 10", Intent.CALCULATE) == 6
    assert compute_operation("difference between 5 and 5", Intent.CALCULATE) == 0
    assert compute_operation("difference between a and 5", Intent.CALCULATE) is None
    assert compute_operation("difference between 3.5 and 4", Intent.ASK) is None
