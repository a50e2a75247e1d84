from fractions import Fraction

import pytest

from octomil.routing.rationals import MAX_BITS, bounded, divide, power, root


def test_whole_results_are_plain_integers() -> None:
    assert type(bounded(Fraction(4, 2))) is int
    assert type(divide(6, 3)) is int
    assert divide(1, Fraction(1, 3)) == 3
    assert power(Fraction(1, 2), -3) == 8


def test_result_is_bounded_before_it_is_computed() -> None:
    with pytest.raises(OverflowError):
        power(9, 9**9)
    with pytest.raises(OverflowError):
        power(2, -(10**12))
    with pytest.raises(OverflowError):
        bounded(1 << MAX_BITS)


@pytest.mark.parametrize("exponent", [0, -1])
def test_zero_has_no_power_below_one(exponent: int) -> None:
    with pytest.raises(ZeroDivisionError):
        power(0, exponent)


@pytest.mark.parametrize(
    ("radicand", "degree", "value"),
    [
        (0, 2, 0),
        (144, 2, 12),
        (Fraction(9, 4), 2, Fraction(3, 2)),
        (27, 3, 3),
        (-27, 3, -3),
        (Fraction(1, 8), 3, Fraction(1, 2)),
        (10**60, 3, 10**20),
    ],
)
def test_perfect_root_is_exact(radicand: Fraction, degree: int, value: Fraction) -> None:
    assert root(radicand, degree) == (value, True)


@pytest.mark.parametrize(("radicand", "degree"), [(2, 2), (Fraction(1, 3), 2), (10, 3), (-2, 3)])
def test_other_root_is_close_and_says_so(radicand: Fraction, degree: int) -> None:
    value, exact = root(radicand, degree)

    assert not exact
    assert abs(Fraction(value) ** degree - radicand) < Fraction(1, 10**38)


def test_even_root_of_a_negative_number_is_refused() -> None:
    with pytest.raises(ArithmeticError):
        root(-4, 2)
