"""Sentences that ask for a percentage: `20% of 350`, `30 is what percent of 120`.

`200 + 10%` and `10% off` are not here: people mean different things by them.
"""

import re
from collections.abc import Callable

from octomil.routing.numerals import Number, read_number_unsigned, write_float
from octomil.routing.rationals import bounded, divide

_SIGN = r" ?(?:%|percent|per cent)"
_SHARE = r"(?:percent(?:age)?|per cent|%)"
_NUMBER = r"(\S(?:.*\S)?)"
_PERCENT = re.compile(_NUMBER + _SIGN)


def _of(text: str) -> Number | None:
    """Take the shares in turn: `10% of 20% of 500`."""
    *shares, whole = text.split(" of ")
    value = read_number_unsigned(whole)
    for share_text in reversed(shares):
        share = _PERCENT.fullmatch(share_text)
        percent = read_number_unsigned(share[1]) if share else None
        if value is None or percent is None:
            return None
        value = bounded(divide(percent, 100) * value)
    return value if shares else None


def _numbers(*texts: str) -> list[Number] | None:
    values = [read_number_unsigned(text) for text in texts]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def _share(part: str, whole: str) -> Number | None:
    values = _numbers(part, whole)
    return None if values is None else bounded(100 * divide(values[0], values[1]))


def _share_of(whole: str, part: str) -> Number | None:
    return _share(part, whole)


def _increase(value: str, percent: str, *, sign: int = 1) -> Number | None:
    values = _numbers(value, percent)
    if values is None or (sign < 0 and values[1] > 100):
        return None
    return bounded(divide(values[0] * (100 + sign * values[1]), 100))


def _decrease(value: str, percent: str) -> Number | None:
    return _increase(value, percent, sign=-1)


def _change(kind: str, start: str, end: str) -> Number | None:
    values = _numbers(start, end)
    if values is None:
        return None
    before, after = values
    change = bounded(100 * divide(after - before, before))
    if kind == "change":
        return change
    change = change if kind == "increase" else -change
    return change if change >= 0 else None


# Pattern, what to compute from its groups, and whether the answer is itself a percentage.
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Number | None], bool], ...] = tuple(
    (re.compile(pattern), compute, is_percent)
    for pattern, compute, is_percent in (
        (rf"{_NUMBER} (?:is|are) what {_SHARE} of {_NUMBER}", _share, True),
        (rf"what {_SHARE} of {_NUMBER} (?:is|are|equals) {_NUMBER}", _share_of, True),
        (rf"what {_SHARE} is {_NUMBER} of {_NUMBER}", _share, True),
        (rf"{_NUMBER} (?:as|in) an? {_SHARE} of {_NUMBER}", _share, True),
        (rf"{_NUMBER} out of {_NUMBER} (?:as|in) an? {_SHARE}", _share, True),
        (rf"{_NUMBER} is {_NUMBER}{_SIGN} of (?:what|which)(?: number)?", _share, False),
        (rf"(?:increase|raise) {_NUMBER} by {_NUMBER}{_SIGN}", _increase, False),
        (rf"(?:decrease|reduce) {_NUMBER} by {_NUMBER}{_SIGN}", _decrease, False),
        (rf"{_NUMBER} (?:increased|raised) by {_NUMBER}{_SIGN}", _increase, False),
        (rf"{_NUMBER} (?:decreased|reduced) by {_NUMBER}{_SIGN}", _decrease, False),
        (
            rf"(?:percent(?:age)?|%) (change|increase|decrease) from {_NUMBER} to {_NUMBER}",
            _change,
            True,
        ),
        (rf"(.+{_SIGN} of .+)", _of, False),
    )
)

_PERCENTAGE_WORDS_TEXT = """
percent per cent percentage of is are what which number as in an a out by from to equals
increase increased raise raised decrease decreased reduce reduced change
"""
PERCENTAGE_WORDS = frozenset(_PERCENTAGE_WORDS_TEXT.split())


def answer_percentage(query: str) -> str | None:
    """Answer a whole lower-case sentence that asks for a percentage, else return None."""
    for pattern, compute, is_percent in _FORMS:
        match = pattern.fullmatch(query)
        if match is None:
            continue
        try:
            value = compute(*match.groups())
        except ArithmeticError:
            return None
        text = None if value is None else write_float(value)
        if text is not None:
            return f"{text}%" if is_percent else text
    return None
