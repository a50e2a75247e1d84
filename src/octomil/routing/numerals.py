"""Reading and writing numbers exactly: what tier 0 takes for a number, and how it prints one.

Only forms with one meaning are read. `1.000,5`, `12,34`, `007` and `1.500` (fifteen hundred to half
of Europe) are refused, because a refused query goes to a model, while a misread one gets a wrong
answer.
"""

import math
import re
from fractions import Fraction
from typing import TypeAlias

Number: TypeAlias = int | Fraction
"""An exact value; whole numbers are always plain `int`."""

NUMERAL = (
    r"(?<![0-9.,])(?:(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*|0)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?![0-9]|[.,][0-9])"
)
"""Regular expression of one unsigned decimal number, thousands grouped properly or not at all."""

MAX_LITERAL_DIGITS = 50
MAX_RESULT_DIGITS = 100
_EXACT_DIGITS = 15
_ROUNDED_DIGITS = 10
_SMALLEST_POWER = 12

_UNIT_WORDS = """
zero one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: value for value, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
NUMBER_WORDS = frozenset({*_UNITS, *_TENS, *_SCALES, "hundred"})

_LITERAL = re.compile(NUMERAL)
_EUROPEAN_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{2}0")
_SIGN = re.compile(r"(?:-|(?:minus|negative) )(?=\S)")
_ANY_WORD = "(?:" + "|".join(sorted(NUMBER_WORDS, key=len, reverse=True)) + ")"
_WORD_RUN = re.compile(rf"(?:\ba )?\b{_ANY_WORD}\b(?:(?: and |[ -]){_ANY_WORD}\b)*")
_SCALED = re.compile(rf"({NUMERAL}) (thousand|million|billion)\b")


def simplified(value: Fraction) -> Number:
    """Return a whole fraction as an `int`, any other as it is."""
    return value.numerator if value.denominator == 1 else value


def read_literal(text: str) -> Number | None:
    """Read an unsigned decimal number such as `1,250.5`; None for whatever has a second meaning."""
    if len(text) > MAX_LITERAL_DIGITS or not _LITERAL.fullmatch(text):
        return None
    whole, point, decimals = text.replace(",", "").partition(".")
    if not point:
        return int(whole)
    if _EUROPEAN_THOUSANDS.fullmatch(text):
        return None
    return simplified(Fraction(int(whole + decimals), 10 ** len(decimals)))


def read_number(text: str) -> Number | None:
    """Read one signed number in digits, in words, or in digits with a scale (`1.5 million`)."""
    sign = _SIGN.match(text)
    if sign:
        value = read_number_unsigned(text[sign.end() :])
        return None if value is None else -value
    return read_number_unsigned(text)


def read_number_unsigned(text: str) -> Number | None:
    """Read one number without a sign; see `read_number`."""
    if text[:1].isalpha():
        digits = words_to_digits(text)
        return None if digits is None else read_literal(digits)
    literal = read_literal(text)
    if literal is not None:
        return literal
    digits = words_to_digits(text)
    return None if digits is None or digits == text else read_literal(digits)


def words_to_digits(text: str) -> str | None:
    """Replace every number spelled out in lower case by its digits.

    Returns:
        The text with digits, or None when words of numbers stand together without forming one
        (`nine eleven`, `nineteen eighty four`).
    """
    text, failed = _SCALED.sub(_scale_to_digits, text), False
    pieces: list[str] = []
    end = 0
    for run in _WORD_RUN.finditer(text):
        value = _read_words(run[0])
        failed = failed or value is None
        pieces += text[end : run.start()], str(value)
        end = run.end()
    return None if failed else "".join(pieces) + text[end:]


def _scale_to_digits(match: re.Match[str]) -> str:
    literal = read_literal(match[1])
    value = None if literal is None else simplified(Fraction(literal) * _SCALES[match[2]])
    # Nobody writes 1.2345 thousand; left as it is, the scale stands alone and is refused.
    return str(value) if isinstance(value, int) else match[0]


def _read_words(run: str) -> int | None:
    """Read one English cardinal below 10^12: descending scales, each with at most three digits."""
    total, ceiling = 0, 10**12
    for scale in (1_000_000_000, 1_000_000, 1_000):
        word = next(name for name, value in _SCALES.items() if value == scale)
        head, found, tail = run.partition(word)
        if not found:
            continue
        group = 1 if head.strip() == "a" else _read_hundreds(head.strip())
        if not group or scale >= ceiling:
            return None
        total, ceiling = total + group * scale, scale
        run = tail.strip()
    if not run:
        return total
    if total and run.startswith("and "):
        run = run[4:]
    rest = _read_hundreds(run)
    return None if rest is None or (total and not rest) else total + rest


def _read_hundreds(words: str) -> int | None:
    head, found, tail = words.partition("hundred")
    if not found:
        return _read_tens(words)
    hundreds = 1 if head.strip() == "a" else _UNITS.get(head.strip(), 0)
    tail = tail.strip().removeprefix("and ")
    rest = _read_tens(tail) if tail else 0
    if not 1 <= hundreds <= 9 or rest is None or (tail and not rest):
        return None
    return 100 * hundreds + rest


def _read_tens(words: str) -> int | None:
    if words in _UNITS:
        return _UNITS[words]
    tens, _, unit = words.replace("-", " ").partition(" ")
    if tens not in _TENS:
        return None
    if not unit:
        return _TENS[tens]
    return _TENS[tens] + _UNITS[unit] if 1 <= _UNITS.get(unit, 0) <= 9 else None


def write_number(value: Number, *, exact: bool = True) -> str | None:
    """Print a value without noise: all digits where they end soon, else ten significant ones.

    Args:
        value: What to print.
        exact: False when `value` approximates an irrational number, so that its digits never end.

    Returns:
        The decimal digits, or None for a value too large or too small to be worth printing.
    """
    size = abs(value)
    if size >= 10**MAX_RESULT_DIGITS or (size and size * 10**_SMALLEST_POWER < 1):
        return None
    if isinstance(value, int):
        return str(value)
    places = _decimal_places(value.denominator) if exact else None
    if places is None or len(str(abs(value.numerator) * 10**places // value.denominator)) > (
        _EXACT_DIGITS
    ):
        places = max(2, _ROUNDED_DIGITS - 1 - magnitude(value))
    return trimmed(fixed(value, places), keep=0)


def write_float(value: Number) -> str | None:
    """Print like `write_number`, a whole number as Python prints a float (`36.0`)."""
    text = write_number(value)
    return text if text is None or "." in text else f"{text}.0"


def magnitude(value: Number) -> int:
    """Return the power of ten of the first significant digit, 0 for 0."""
    return math.floor(math.log10(abs(float(value)))) if value else 0


def fixed(value: Number, places: int) -> str:
    """Print with exactly `places` decimals, rounding halves away from zero as people do."""
    numerator, denominator = abs(value.numerator), value.denominator
    scaled = (2 * numerator * 10**places + denominator) // (2 * denominator)
    digits = str(scaled).rjust(places + 1, "0")
    sign = "-" if value < 0 and scaled else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def trimmed(text: str, *, keep: int) -> str:
    """Drop zeros at the end of the decimals, but leave at least `keep` decimals."""
    whole, point, decimals = text.partition(".")
    decimals = decimals[:keep] + decimals[keep:].rstrip("0")
    return whole + point + decimals if decimals else whole


def _decimal_places(denominator: int) -> int | None:
    """Return how many decimals 1/denominator has, None when they never end or go on too long."""
    for places in range(40):
        if 10**places % denominator == 0:
            return places
    return None
