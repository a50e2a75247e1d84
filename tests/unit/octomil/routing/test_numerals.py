from fractions import Fraction

import pytest

from octomil.routing.numerals import (
    read_literal,
    read_number,
    words_to_digits,
    write_float,
    write_number,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("42", 42),
        ("1,000", 1000),
        ("1,234,567.5", Fraction(2469135, 2)),
        (".5", Fraction(1, 2)),
        ("0.250", Fraction(1, 4)),
        ("2.50", Fraction(5, 2)),
        ("3.0", 3),
    ],
)
def test_literal_is_read_exactly(text: str, value: Fraction) -> None:
    found = read_literal(text)

    assert found == value
    assert isinstance(found, int) == (Fraction(value).denominator == 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "007",
        "1,00",
        "1,0000",
        "12,34",
        "1.000,5",
        "1.000",
        "1.500",
        "1.2.3",
        "5.",
        "1e6",
        "-1",
        "1_000",
        "\N{FULLWIDTH DIGIT TWO}",
        "1,000,00",
        ",5",
        "9" * 51,
    ],
)
def test_literal_with_a_second_reading_is_refused(text: str) -> None:
    assert read_literal(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zero", 0),
        ("nineteen", 19),
        ("twenty-five", 25),
        ("ninety nine", 99),
        ("a hundred", 100),
        ("one hundred and five", 105),
        ("nine hundred ninety nine", 999),
        ("twelve thousand three hundred and forty-five", 12_345),
        ("two million and six", 2_000_006),
        ("one million two hundred thousand", 1_200_000),
        ("three billion", 3_000_000_000),
        ("1.5 million", 1_500_000),
        ("250 thousand", 250_000),
        ("minus five", -5),
        ("negative 2.5", Fraction(-5, 2)),
        ("-3", -3),
    ],
)
def test_number_in_words_is_read(text: str, value: Fraction) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "nine eleven",
        "nineteen eighty four",
        "hundred",
        "thousand",
        "five hundred hundred",
        "twenty ten",
        "one thousand million",
        "ten hundred",
        "1.2345 thousand",
        "1 million billion",
        "five and",
        "twenty-zero",
        "one hundred zero",
        "a five",
        "and five",
        "five hundred thousand thousand",
    ],
)
def test_words_that_form_no_number_are_refused(text: str) -> None:
    assert read_number(text) is None


def test_words_become_digits_inside_a_text() -> None:
    assert words_to_digits("five + twenty-one * 3") == "5 + 21 * 3"
    assert words_to_digits("someone + tent") == "someone + tent"
    assert words_to_digits("five + nine eleven") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4, "4"),
        (-12, "-12"),
        (Fraction(3, 10), "0.3"),
        (Fraction(1, 3), "0.3333333333"),
        (Fraction(2, 3), "0.6666666667"),
        (Fraction(200, 3), "66.66666667"),
        (Fraction(10**20, 3), "33333333333333333333.33"),
        (Fraction(1, 10**8), "0.00000001"),
        (Fraction(-1, 8), "-0.125"),
        (Fraction(10**15 * 10 + 1, 10), "1000000000000000.1"),
        (10**99, "1" + "0" * 99),
    ],
)
def test_number_is_written_without_noise(value: Fraction, text: str) -> None:
    assert write_number(value) == text


@pytest.mark.parametrize("value", [10**100, -(10**100), Fraction(1, 10**13)])
def test_number_too_large_or_small_is_not_written(value: Fraction) -> None:
    assert write_number(value) is None
    assert write_float(value) is None


def test_inexact_whole_value_is_written_whole() -> None:
    assert write_number(Fraction(2 * 10**40 - 1, 10**40), exact=False) == "2"


def test_float_form_always_has_decimals() -> None:
    assert write_float(36) == "36.0"
    assert write_float(Fraction(1, 8)) == "0.125"
