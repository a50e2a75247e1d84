"""Exact evaluation of an arithmetic expression written in symbols or words.

A recursive-descent parser over a closed set of tokens; every number is an `int` or a `Fraction`,
and length, depth and the size of every value are bounded before anything is computed. Whether a
well-formed expression *is* arithmetic (`9/11` is a date, `3-2` a score) is decided at the end, from
the operators seen and from how the user introduced it (`Intent`).
"""

import enum
import math
import re
from dataclasses import dataclass

from octomil.routing.notation import (
    CBRT,
    CROSS,
    CUBED,
    DIVIDED,
    MINUS,
    OVER,
    SQRT,
    SQUARED,
    RefusedError,
    Token,
    to_symbols,
    tokenize,
)
from octomil.routing.numerals import Number
from octomil.routing.rationals import bounded, divide, power, root

MAX_DEPTH = 16


class Intent(enum.IntEnum):
    """How plainly the user asked for a calculation."""

    BARE = 0
    """Only the expression."""
    ASK = 1
    """A question that also fits a name: `what is 24/7?`."""
    CALCULATE = 2
    """A verb or a sign that fits nothing else: `calculate`, a trailing `=`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of an expression; `exact` is False once an irrational root took part."""

    value: Number
    exact: bool


_FACTORIAL = re.compile(r"(?:factorial of ([0-9]{1,2})|([0-9]{1,2})(?: factorial|!))")
_LARGEST_FACTORIAL = 50

# Dates and phone numbers stay what they are whatever verb stands before them.
_NEVER = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}[-/][0-9]{1,2}[-/](?:19|20)[0-9]{2}\b"
    r"|[0-9]{3}-[0-9]{3}-[0-9]{4}|\b0x|^- |--|\+\+"
)
# `one plus 12` is a telephone.
_PRODUCT = re.compile(r"one plus [0-9]+")
_ADDITIVE = frozenset({"+", "-", MINUS})
_NEGATIVE = frozenset({"-", MINUS})
_TIMES = frozenset({"*", "x", CROSS})
_DIVISION = frozenset({"/", DIVIDED, OVER})
_POSTFIX = frozenset({SQUARED, CUBED})
_ROOTS = frozenset({SQRT, CBRT})
_LOOKALIKES = frozenset({"-", "/", "x", CROSS, OVER, "implicit"})
_NAMED_RATIOS = frozenset(
    {(9, 11), (7, 7), (7, 11), (26, 11), (24, 7), (4, 20), (20, 20), (50, 50), (80, 20), (5, 9)}
    | {(16, 9), (4, 3), (60, 40), (70, 30), (90, 10), (9, 5), (100, 100), (10, 10), (22, 7)}
)


def evaluate(expression: str, intent: Intent) -> Evaluation | None:
    """Evaluate a whole lower-case expression, or return None.

    Args:
        expression: The query without polite words, e.g. `3+4` or `three squared`.
        intent: How the query introduced it.

    Returns:
        The value; None where the text is not an expression from end to end, has a second reading,
        has no value (division by zero), or would be too large.
    """
    factorial = _FACTORIAL.fullmatch(expression)
    if factorial:
        return _factorial(int(factorial[1] or factorial[2]), expression, intent)
    if intent is not Intent.CALCULATE and _PRODUCT.fullmatch(expression):
        return None
    symbols = to_symbols(expression)
    if symbols is None or _NEVER.search(symbols):
        return None
    try:
        return _Parser(tokenize(symbols)).evaluate(intent)
    except (RefusedError, ArithmeticError):
        return None


def _factorial(number: int, expression: str, intent: Intent) -> Evaluation | None:
    # A bare `5!` may be five with emphasis.
    if number > _LARGEST_FACTORIAL or (intent is Intent.BARE and expression[-1] == "!"):
        return None
    return Evaluation(math.factorial(number), exact=True)


class _Parser:
    """One pass over the tokens, computing as it goes.

    ```
    sum     := product (("+" | "-" | M) product)*
    product := signed (("*" | X | "x" | "/" | D | O) signed | "(" sum ")")*
    signed  := "-" postfix | power
    power   := postfix ("^" "-"? power)?
    postfix := primary (S | Q)?
    primary := number | "(" sum ")" | (R | C) (number | "(" sum ")")
    ```
    """

    __slots__ = ("_depth", "_exact", "_next", "_operands", "_operators", "_tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._exact = True
        self._operators: list[tuple[str, bool]] = []
        self._operands: list[Number] = []

    def evaluate(self, intent: Intent) -> Evaluation:
        value = self._sum()
        if self._peek().kind != "end" or not self._operators or not self._is_asked(intent):
            raise RefusedError
        return Evaluation(value, self._exact)

    def _is_asked(self, intent: Intent) -> bool:
        """Tell arithmetic from dates, scores, ranges, ratios, sizes and phone numbers."""
        kinds = {kind for kind, _ in self._operators}
        # `6/2(1+2)` is 9 or 1.
        if "implicit" in kinds and kinds & {"/", DIVIDED, OVER, "^"}:
            return False
        if intent is Intent.CALCULATE or not kinds <= _LOOKALIKES:
            return True
        if not all(spaced for _, spaced in self._operators):
            return False
        if len(self._operators) > 1:
            return intent is Intent.ASK
        return self._is_asked_pair(self._operators[0][0], intent)

    def _is_asked_pair(self, kind: str, intent: Intent) -> bool:
        left, right = self._operands
        if kind == "/" and (left, right) in _NAMED_RATIOS:
            return False
        if kind == OVER and left >= 80 and 40 <= right <= 140:
            return False  # a blood pressure
        if intent is Intent.ASK:
            return True
        # Ranges ascend, and ratings and fractions stay below one or end in decimals.
        if kind == "-":
            return left > right and self._tokens[0].kind == "n"
        if kind == "/":
            return left > right and left % right == 0
        return kind == CROSS

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _sum(self) -> Number:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RefusedError
        value = self._product()
        while self._peek().kind in _ADDITIVE:
            kind = self._take_binary()
            right = self._product()
            value = bounded(value + right if kind == "+" else value - right)
        self._depth -= 1
        return value

    def _product(self) -> Number:
        value = self._signed(leading=True)
        while True:
            kind = self._peek().kind
            if kind == "(":
                value = bounded(value * self._implicit_factor())
            elif kind in _TIMES:
                self._take_binary()
                value = bounded(value * self._signed(leading=kind != "x"))
            elif kind in _DIVISION:
                self._take_binary()
                value = divide(value, self._signed(leading=True))
            else:
                return value

    def _take_binary(self) -> str:
        token = self._take()
        # `5 -3` may be two numbers side by side.
        if token.before != token.after and token.kind in _LOOKALIKES:
            raise RefusedError
        if token.kind == "x" and not token.before and self._peek().kind == "(":
            raise RefusedError  # a function of x
        self._operators.append((token.kind, token.before))
        return token.kind

    def _implicit_factor(self) -> Number:
        """Read `(3+4)` in `2(3+4)`; `12(3)` is an issue of a journal."""
        seen = len(self._operators)
        if self._peek().before:
            raise RefusedError
        value = self._primary()
        if len(self._operators) == seen or self._peek().kind == "n":
            raise RefusedError
        self._operators.append(("implicit", False))
        return value

    def _signed(self, *, leading: bool) -> Number:
        if self._peek().kind not in _NEGATIVE:
            return self._power()
        self._take()
        # `2x-3` is algebra; `-2^2` is 4 to some and -4 to others.
        seen = len(self._operators)
        value = self._postfix()
        plain = len(self._operators) == seen or self._tokens[self._next - 1].kind == ")"
        if not leading or not plain or self._peek().kind == "^":
            raise RefusedError
        return -value

    def _power(self) -> Number:
        base = self._postfix()
        if self._peek().kind != "^":
            return base
        self._take()
        self._operators.append(("^", True))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RefusedError
        negative = self._peek().kind in _NEGATIVE
        if negative:
            self._take()
        exponent = self._power()
        self._depth -= 1
        return self._raise(base, -exponent if negative else exponent)

    def _raise(self, base: Number, exponent: Number) -> Number:
        if isinstance(exponent, int):
            return power(base, exponent)
        if exponent.denominator not in {2, 3} or base < 0:
            raise RefusedError
        return self._root(power(base, exponent.numerator), exponent.denominator)

    def _postfix(self) -> Number:
        value = self._primary()
        if self._peek().kind in _POSTFIX:
            exponent = 2 if self._take().kind == SQUARED else 3
            self._operators.append(("^", True))
            value = power(value, exponent)
        return value

    def _primary(self) -> Number:
        token = self._take()
        if token.kind == "n":
            self._operands.append(token.value)
            return token.value
        if token.kind in _ROOTS:
            return self._read_root(2 if token.kind == SQRT else 3)
        if token.kind != "(":
            raise RefusedError
        value = self._sum()
        if self._take().kind != ")":
            raise RefusedError
        return value

    def _read_root(self, degree: int) -> Number:
        self._operators.append((SQRT, True))
        bracketed = self._peek().kind == "("
        negative = self._peek().kind == "-"
        if negative:
            self._take()
        radicand = self._primary()
        # `square root of 16 plus 9` is 13 or 5: without brackets the root must come last.
        if not bracketed and self._peek().kind not in {"end", ")"}:
            raise RefusedError
        return self._root(-radicand if negative else radicand, degree)

    def _root(self, radicand: Number, degree: int) -> Number:
        value, exact = root(radicand, degree)
        self._exact = self._exact and exact
        return value
