"""Exact arithmetic that cannot run away: the size of a result is bounded before it is computed.

Tier 0 computes only through these functions, so that `9^9^9` costs nothing.
"""

import math
from fractions import Fraction

from octomil.routing.numerals import Number, simplified

MAX_BITS = 1_024
"""Bits of numerator and denominator together; about 300 decimal digits."""

_ROOT_DIGITS = 40


def bounded(value: Number) -> Number:
    """Return the value, as `int` where whole.

    Raises:
        OverflowError: It is longer than `MAX_BITS`.
    """
    if _bits(value) > MAX_BITS:
        raise OverflowError
    return value if isinstance(value, int) else simplified(value)


def divide(left: Number, right: Number) -> Number:
    """Divide exactly; a `ZeroDivisionError` as usual."""
    return bounded(Fraction(left) / right)


def power(base: Number, exponent: int) -> Number:
    """Raise to a whole power.

    Raises:
        OverflowError: The result would be longer than `MAX_BITS`.
        ZeroDivisionError: Zero is raised to zero or below; 0^0 has no agreed value.
    """
    if base == 0 and exponent <= 0:
        raise ZeroDivisionError
    if _bits(base) * abs(exponent) > MAX_BITS:
        raise OverflowError
    return bounded(Fraction(base) ** exponent)


def root(radicand: Number, degree: int) -> tuple[Number, bool]:
    """Take a real root of degree 2 or 3.

    Returns:
        The root and whether it is exact; otherwise it is cut after 40 decimals.

    Raises:
        ArithmeticError: An even root of a negative number.
    """
    if radicand < 0:
        if degree % 2 == 0:
            raise ArithmeticError
        value, exact = root(-radicand, degree)
        return -value, exact
    guess = Fraction(
        _integer_root(radicand.numerator, degree), _integer_root(radicand.denominator, degree)
    )
    if guess**degree == radicand:
        return simplified(guess), True
    scale = 10**_ROOT_DIGITS
    scaled = radicand.numerator * scale**degree // radicand.denominator
    return Fraction(_integer_root(scaled, degree), scale), False


def _integer_root(number: int, degree: int) -> int:
    """Return the largest integer whose power `degree` is at most `number`."""
    if degree == 2:
        return math.isqrt(number)
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle - 1
    return low


def _bits(value: Number) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()
