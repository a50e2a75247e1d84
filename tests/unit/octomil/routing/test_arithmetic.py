from fractions import Fraction

import pytest

from octomil.routing.arithmetic import MAX_DEPTH, Evaluation, Intent, evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("2-3-4+0", -5),
        ("24/4/2+0", 3),
        ("2^3^2", 512),
        ("2*-3", -6),
        ("2^-2", Fraction(1, 4)),
        ("4^(1/2)", 2),
        ("8^(2/3)", 4),
        ("(-3)^2", 9),
        ("-(2+3)", -5),
        ("-(2+3)*2", -10),
        ("3(4+5)", 27),
        ("(1+2)(3+4)", 21),
        ("1+sqrt(9)", 4),
    ],
)
def test_precedence_and_associativity_are_those_of_mathematics(text: str, value: Fraction) -> None:
    assert evaluate(text, Intent.CALCULATE) == Evaluation(value, exact=True)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("9/11", Intent.CALCULATE),
        ("3-2", Intent.CALCULATE),
        ("4x4", Intent.CALCULATE),
        ("1-800-555", Intent.CALCULATE),
        ("1920\N{MULTIPLICATION SIGN}1080", Intent.CALCULATE),
        ("24 / 7", Intent.CALCULATE),
        ("120 over 80", Intent.CALCULATE),
        ("one plus 12", Intent.CALCULATE),
        ("10 - 20", Intent.ASK),
        ("-10 - 5", Intent.ASK),
        ("7 / 10", Intent.ASK),
        ("12 x 12", Intent.ASK),
        ("100 over 4", Intent.ASK),
        ("9 - 3 - 2", Intent.ASK),
        ("5!", Intent.ASK),
        ("20 - 10", Intent.BARE),
        ("144 / 12", Intent.BARE),
        ("7 \N{MULTIPLICATION SIGN} 8", Intent.BARE),
        ("9 divided by 11", Intent.BARE),
        ("3 minus 2", Intent.BARE),
        ("3-2+1", Intent.BARE),
    ],
)
def test_expression_that_looks_like_something_else_needs_a_plain_request(
    text: str, least: Intent
) -> None:
    for intent in Intent:
        assert (evaluate(text, intent) is not None) == (intent >= least), intent


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15",
        "12/25/2024",
        "800-555-1234",
        "0x10+1",
        "2x-3",
        "2x(3+1)",
        "6/2(1+2)",
        "-2^2",
        "-3²",
        "5 -3",
        "5--3",
        "2++3",
        "1/0",
        "0^0",
        "sqrt(-1)",
        "sqrt 16 + 9",
        "12(3)",
        "(1+2",
        "1+2)",
        "()",
        "",
        "5",
        "(5)",
        "-5",
        "5+",
        "2 3",
        "9^9^9",
        "2^(1/5)",
        "51!",
        "(-8)^(1/3)",
        "2^2^-",
        "5²³",
    ],
)
def test_expression_without_one_meaning_is_refused_however_it_is_asked(text: str) -> None:
    assert evaluate(text, Intent.CALCULATE) is None


def test_irrational_roots_are_marked_inexact() -> None:
    irrational = evaluate("sqrt(2)+1", Intent.BARE)

    assert irrational is not None
    assert not irrational.exact
    assert evaluate("sqrt(4)+1", Intent.BARE) == Evaluation(3, exact=True)


def test_nesting_is_bounded() -> None:
    deepest = "(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1) + "+1"

    assert evaluate(deepest, Intent.BARE) == Evaluation(2, exact=True)
    assert evaluate(f"({deepest})", Intent.BARE) is None
    assert evaluate("1^" * MAX_DEPTH + "1", Intent.BARE) is None
