"""Operations asked for by name: `the sum of 2, 3 and 4`, `half of 50`, `17 mod 5`.

Each form is a whole query around plain numbers, so that `half of 10 plus 5` (10 or 7.5) is refused.
"""

import re
from collections.abc import Callable
from fractions import Fraction

from octomil.routing.arithmetic import Intent
from octomil.routing.numerals import Number, read_number, simplified
from octomil.routing.rationals import bounded, divide, power

_SPOKEN_AND = re.compile(r"hundred|thousand|million|billion")
_MAX_ITEMS = 32


def _items(text: str) -> list[Number] | None:
    """Read `2, 3 and 4`; `two hundred and fifty` would be one number or two."""
    parts = re.split(r", and |, | and ", text)
    if not 2 <= len(parts) <= _MAX_ITEMS or _SPOKEN_AND.search(text):
        return None
    values = [read_number(part) for part in parts]
    known = [value for value in values if value is not None]
    return known if len(known) == len(parts) else None


def _sum(values: list[Number]) -> Number:
    return simplified(Fraction(sum(values)))


def _product(values: list[Number]) -> Number:
    result: Number = 1
    for value in values:
        result = bounded(result * value)
    return result


def _mean(values: list[Number]) -> Number:
    return divide(_sum(values), len(values))


def _modulo(left: Number, right: Number) -> Number:
    # Languages disagree about the remainder of negative and of broken numbers.
    if not isinstance(left, int) or not isinstance(right, int) or left < 0 or right < 0:
        raise ArithmeticError
    return left % right


_LISTS: tuple[tuple[re.Pattern[str], Callable[[list[Number]], Number]], ...] = (
    (re.compile(r"(?:sum|total) of (.+)"), _sum),
    (re.compile(r"add (?:up )?(.+)"), _sum),
    (re.compile(r"product of (.+)"), _product),
    (re.compile(r"(?:average|mean|arithmetic mean) of (.+)"), _mean),
)
_PAIRS: tuple[tuple[re.Pattern[str], Callable[[Number, Number], Number]], ...] = tuple(
    (re.compile(pattern), compute)
    for pattern, compute in (
        (r"add (.+) to (.+)", lambda a, b: bounded(a + b)),
        (r"subtract (.+) from (.+)", lambda a, b: bounded(b - a)),
        (r"multiply (.+) (?:by|and|with|times) (.+)", lambda a, b: bounded(a * b)),
        (r"divide (.+) by (.+)", divide),
        (r"quotient of (.+) and (.+)", divide),
        (r"remainder of (.+) divided by (.+)", _modulo),
        (r"remainder (?:when|if) (.+) is divided by (.+)", _modulo),
        (r"(.+) mod(?:ulo)? (.+)", _modulo),
    )
)
_DIFFERENCE = re.compile(r"difference between (.+) and (.+)")
_SINGLES: tuple[tuple[re.Pattern[str], Callable[[Number], Number]], ...] = tuple(
    (re.compile(pattern), compute)
    for pattern, compute in (
        (r"(?:a |one )?half of (.+)", lambda a: divide(a, 2)),
        (r"(?:a|one) third of (.+)", lambda a: divide(a, 3)),
        (r"(?:a|one) (?:quarter|fourth) of (.+)", lambda a: divide(a, 4)),
        (r"twice (.+)", lambda a: bounded(2 * a)),
        (r"square of (.+)", lambda a: power(a, 2)),
        (r"cube of (.+)", lambda a: power(a, 3)),
    )
)
_OPERATION_WORDS_TEXT = """
sum total of add up product average mean arithmetic difference between and subtract from
multiply by with times divide quotient remainder divided when if is mod modulo a one half third
quarter fourth twice square cube to
"""
OPERATION_WORDS = frozenset(_OPERATION_WORDS_TEXT.split())
_OPENERS_TEXT = """
sum total add product average mean arithmetic difference subtract multiply divide quotient
remainder a one half twice square cube
"""
_OPENERS = frozenset(_OPENERS_TEXT.split())


def compute_operation(query: str, intent: Intent) -> Number | None:
    """Compute a whole lower-case query that names its operation, else return None.

    Args:
        query: The query without polite words, e.g. `sum of 2 and 3`.
        intent: How the query introduced it.
    """
    if query.partition(" ")[0] not in _OPENERS and " mod" not in query:
        return None
    try:
        if _DIFFERENCE.fullmatch(query):
            return _difference(query, intent)
        return _compute(query)
    except ArithmeticError:
        return None


def _difference(query: str, intent: Intent) -> Number | None:
    # `What is the difference between 3.5 and 4?` asks about versions of something.
    match = _DIFFERENCE.fullmatch(query) if intent is Intent.CALCULATE else None
    pair = (read_number(match[1]), read_number(match[2])) if match else (None, None)
    if pair[0] is None or pair[1] is None:
        return None
    return bounded(max(pair[0] - pair[1], pair[1] - pair[0]))


def _compute(query: str) -> Number | None:
    for pattern, over_list in _LISTS:
        match = pattern.fullmatch(query)
        values = _items(match[1]) if match else None
        if values is not None:
            return over_list(values)
    for pattern, over_pair in _PAIRS:
        match = pattern.fullmatch(query)
        pair = (read_number(match[1]), read_number(match[2])) if match else (None, None)
        if pair[0] is not None and pair[1] is not None:
            return over_pair(pair[0], pair[1])
    for pattern, over_one in _SINGLES:
        match = pattern.fullmatch(query)
        value = read_number(match[1]) if match else None
        if value is not None:
            return over_one(value)
    return None
