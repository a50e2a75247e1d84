"""Sentences that ask for a unit conversion: `86°F to Celsius`, `how many feet are in 2 miles`.

A sentence counts only when all of it is one quantity, one link word and one unit of the same
dimension.
"""

import re
from fractions import Fraction

from octomil.routing.numerals import NUMBER_WORDS, NUMERAL, read_number
from octomil.routing.units import UNIT_NAMES, Unit, convert, find_units, write_quantity

_TO = re.compile(r"(?:from )?(.*\S) (?:to|into|in|as) (\S.*)", re.IGNORECASE)
_IS_HOW_MANY = re.compile(r"(.*\S) (?:is|equals?|are|make|makes|in) how many (\S.*)", re.IGNORECASE)
_HOW_MANY = re.compile(
    r"how many (\S.*?)(?: are| is)?(?: there)? (?:in|is|are|equals?|make|makes|per) (\S.*)",
    re.IGNORECASE,
)
_ONE = re.compile(r"(half )?(?:an?|one) (\D+)", re.IGNORECASE)
_QUANTITY = re.compile(rf"((?:-|(?:minus|negative) )?{NUMERAL}) ?(\D.*)", re.IGNORECASE)
_PART = re.compile(rf"({NUMERAL}) ?([^0-9]*[^0-9 ]) ?", re.IGNORECASE)
_IN_WORDS = re.compile(
    rf"((?:(?:minus|negative) )?(?:{NUMERAL} |a )?"
    rf"(?:(?:{'|'.join(sorted(NUMBER_WORDS))}|and)\b[ -]?)+)(\D+)",
    re.IGNORECASE,
)
_BETWEEN_PARTS = re.compile(r"(?:,| and)$")
_LARGEST = Fraction(10**18)
_SMALLEST = Fraction(1, 10**12)

_CONVERSION_WORDS_TEXT = """
convert from to into in as a an one how many is are there equal equals make makes per half minus
negative
"""
CONVERSION_WORDS = frozenset(_CONVERSION_WORDS_TEXT.split()) | frozenset(
    word for name in UNIT_NAMES for word in re.findall("[a-z]+", name.lower())
)


def answer_conversion(query: str) -> str | None:
    """Answer a whole sentence that asks for a conversion.

    Args:
        query: The query in its own case, without polite words and marks at its ends.

    Returns:
        The converted quantity with its unit (`22.22°C`), or None.
    """
    found = _read(query)
    if found is None:
        return None
    quantity, target = found
    parts = _read_quantity(quantity)
    targets = find_units(target)
    if not parts or not targets:
        return None
    if len(parts) == 1 and parts[0][1] == targets:
        return None
    result = convert(parts, targets)
    if result is None:
        return None
    value, unit = result
    if abs(value) >= _LARGEST or 0 < abs(value) < _SMALLEST:
        return None
    return write_quantity(value, unit)


def _read(query: str) -> tuple[str, str] | None:
    """Split into the text of the quantity and the text of the unit asked for."""
    how_many = _HOW_MANY.fullmatch(query)
    if how_many:
        return how_many[2], how_many[1]
    asked = _IS_HOW_MANY.fullmatch(query) or _TO.fullmatch(query)
    return (asked[1], asked[2]) if asked else None


def _read_quantity(text: str) -> list[tuple[Fraction, tuple[Unit, ...]]] | None:
    one = _ONE.fullmatch(text)
    if one and find_units(one[2]):
        return [(Fraction(1, 2 if one[1] else 1), find_units(one[2]))]
    for pattern in (_QUANTITY, _IN_WORDS):
        match = pattern.fullmatch(text)
        units = find_units(match[2]) if match else ()
        if match and units:
            value = read_number(match[1].strip().lower())
            return (
                None if value is None or not _may_be(value, units) else [(Fraction(value), units)]
            )
    return _read_parts(text)


def _may_be(value: int | Fraction, units: tuple[Unit, ...]) -> bool:
    """Only temperatures and angles are asked for below zero."""
    return value >= 0 or all(unit.dimension in {"temperature", "angle"} for unit in units)


def _read_parts(text: str) -> list[tuple[Fraction, tuple[Unit, ...]]] | None:
    """Read a quantity in several units: `5 ft 10 in`, `2 hours and 30 minutes`."""
    parts: list[tuple[Fraction, tuple[Unit, ...]]] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        value = read_number(match[1])
        units = find_units(_BETWEEN_PARTS.sub("", match[2]))
        if value is None or not units:
            return None
        parts.append((Fraction(value), units))
        position = match.end()
    return parts if len(parts) > 1 else None
