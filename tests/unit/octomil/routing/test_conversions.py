import pytest

from octomil.routing.conversions import answer_conversion


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("72°F to Celsius", "22.22°C"),
        ("from 5 miles to km", "8.047 km"),
        ("how many feet are there in 2 miles", "10560.00 ft"),
        ("how many feet per mile", None),
        ("how many feet per 1 mile", "5280.00 ft"),
        ("3 feet is how many inches", "36.00 in"),
        ("a kilogram in grams", "1000.00 g"),
        ("half an hour in minutes", "30.00 min"),
        ("6 ft 2 in in cm", "187.96 cm"),
        ("1 hour, 30 minutes to s", "5400.00 s"),
        ("two thousand grams in kg", "2.00 kg"),
        ("1.5 million bytes to MB", "1.50 MB"),
        ("minus forty celsius to fahrenheit", "-40.00°F"),
    ],
)
def test_whole_sentence_is_converted(query: str, answer: str | None) -> None:
    assert answer_conversion(query) == answer


@pytest.mark.parametrize(
    "query",
    [
        "5 km",
        "km to miles",
        "5 to km",
        "-5 km to miles",
        "5 km to km",
        "5 km in 20 minutes",
        "5 min to 10 min",
        "5 foot 10 in cm",
        "1,5 km to m",
        "007 km to m",
        "5 km to miles and feet",
        "five eleven km to m",
        "how many feet in the mile",
        "9999999999999999999 km to mm",
        "0.0000000000001 mm to km",
        "1 in 10",
        "",
    ],
)
def test_any_other_sentence_passes_on(query: str) -> None:
    assert answer_conversion(query) is None
