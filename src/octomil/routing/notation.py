"""How arithmetic is written: signs and words become one sequence of tokens.

`arithmetic` parses what comes out. Words keep tokens of their own where the sign also joins dates,
scores and ranges: `ten minus two` can only be a subtraction, `10-2` may be a score.
"""

import re
from typing import NamedTuple

from octomil.routing.numerals import NUMERAL, Number, read_literal, words_to_digits

MAX_TOKENS = 128


class RefusedError(Exception):
    """The text is not an expression, or not one to answer; `evaluate` catches it."""


# Expressions are lower case, so capitals are free to stand for words and signs.
MINUS, DIVIDED, OVER, CROSS, SQUARED, CUBED, SQRT, CBRT = "MDOXSQRC"
_SIGNS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{DIVISION SIGN}": DIVIDED,
        "\N{MULTIPLICATION SIGN}": CROSS,
        "\N{SUPERSCRIPT TWO}": SQUARED,
        "\N{SUPERSCRIPT THREE}": CUBED,
        "\N{SQUARE ROOT}": SQRT,
    }
)
_PHRASES = {
    "plus": " + ",
    "added to": " + ",
    "minus": f" {MINUS} ",
    "times": " * ",
    "multiplied by": " * ",
    "divided by": f" {DIVIDED} ",
    "over": f" {OVER} ",
    "squared": SQUARED,
    "cubed": CUBED,
    "to the power of": " ^ ",
    "to the power": " ^ ",
    "raised to the power of": " ^ ",
    "raised to": " ^ ",
    "the square root of": SQRT,
    "square root of": SQRT,
    "sqrt of": SQRT,
    "sqrt": SQRT,
    "the cube root of": CBRT,
    "cube root of": CBRT,
    "cbrt of": CBRT,
    "cbrt": CBRT,
    "negative ": "-",
}
_PHRASE = re.compile(
    r"\b(?:" + "|".join(sorted(_PHRASES, key=len, reverse=True)) + r")(?:(?<= )|(?![a-z]))"
)
_ORDINALS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL_POWER = re.compile(
    r"(?: raised)? to the (?:([0-9]{1,3})(?:th|st|nd|rd)|(" + "|".join(_ORDINALS) + r")) power\b"
)
_TOKEN = re.compile(rf"( *)(?:({NUMERAL})|(\*\*|[-+*/^()xMDOXSQRC]))( *)")
ARITHMETIC_WORDS = frozenset(" ".join(_PHRASES).split()) | {"x", "factorial"}
ORDINAL_WORDS = frozenset({*_ORDINALS, "th", "st", "nd", "rd", "raised", "to", "the", "power"})

_LETTER = re.compile("[a-z]")


def to_symbols(expression: str) -> str | None:
    """Write an expression of signs and words in the signs that `tokenize` reads.

    Returns:
        The text, possibly with letters left that are no signs; None where words of numbers stand
        together without forming a number.
    """
    expression = expression.lower().translate(_SIGNS)
    if not _LETTER.search(expression):
        return expression
    text = _ORDINAL_POWER.sub(_ordinal_power, expression)
    text = _PHRASE.sub(lambda phrase: _PHRASES[phrase[0]], text)
    return words_to_digits(text)


def _ordinal_power(match: re.Match[str]) -> str:
    return f" ^ {match[1] or 3 + _ORDINALS.index(match[2])}"


class Token(NamedTuple):
    """One number or sign, and on which sides of it a space stands."""

    kind: str
    """The sign, `n` for a number, `end` after the last."""
    value: Number
    before: bool
    after: bool


_END = Token("end", 0, before=False, after=False)


def tokenize(text: str) -> list[Token]:
    """Cut what `to_symbols` wrote into tokens, an `end` token last.

    Raises:
        RefusedError: Something in it is no token, or there are too many.
    """
    tokens: list[Token] = []
    position, space = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) >= MAX_TOKENS:
            raise RefusedError
        before, numeral, symbol, after = match.groups()
        value = read_literal(numeral) if numeral else 0
        if value is None:
            raise RefusedError
        kind = "n" if numeral else "^" if symbol == "**" else symbol
        tokens.append(Token(kind, value, before=space or bool(before), after=bool(after)))
        position, space = match.end(), bool(after)
    tokens.append(_END)
    return tokens
