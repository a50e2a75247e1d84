import pytest

from octomil.routing.percentages import answer_percentage


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("15% of 240", "36.0"),
        ("fifteen percent of two hundred", "30.0"),
        ("10% of 20% of 500", "10.0"),
        ("30 is what percent of 120", "25.0%"),
        ("what percentage of 3 is 1", "33.33333333%"),
        ("what percent is 45 of 60", "75.0%"),
        ("3 out of 4 as a percentage", "75.0%"),
        ("30 is 25% of what number", "120.0"),
        ("increase 200 by 15%", "230.0"),
        ("80 reduced by 25 per cent", "60.0"),
        ("percent change from 80 to 60", "-25.0%"),
        ("percentage decrease from 100 to 80", "20.0%"),
    ],
)
def test_percentage_is_answered_as_a_float(query: str, answer: str) -> None:
    assert answer_percentage(query) == answer


@pytest.mark.parametrize(
    "query",
    [
        "200 + 10%",
        "20% off 80",
        "50% of 50%",
        "15% of $240",
        "15% of 240 people",
        "10 percent",
        "percent increase from 50 to 40",
        "percent change from 0 to 10",
        "5 is what percent of 0",
        "decrease 80 by 125%",
        "5 is 0% of what",
        "10% of x",
        "x% of 10",
        "increase x by 5%",
        "",
        "x is what percent of 5",
        "percent change from x to 5",
    ],
)
def test_percentage_without_one_meaning_passes_on(query: str) -> None:
    assert answer_percentage(query) is None
