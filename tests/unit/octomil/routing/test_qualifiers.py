import pytest

from octomil.routing.qualifiers import without_qualifiers


@pytest.mark.parametrize(
    ("task", "core"),
    [
        ("estimate the costs for two people", "estimate the costs"),
        ("estimate the budget for 100 guests", "estimate the budget"),
        ("suggest plants with white flowers", "suggest plants"),
        ("write a chapter within 500 words", "write a chapter"),
        ("what happens at night?", "what happens?"),
        ("write a pitch to investors", "write a pitch"),
        ("list the cities in alphabetical order", "list the cities"),
        ("write a summary in Spanish", "write a summary"),
        ("write a Python version", "write a version"),
        ("tell me the year of release", "tell me the year"),
        ("write a slogan for a poster", "write a slogan"),
        ("list tips for the care of roses", "list tips of roses"),
    ],
)
def test_what_does_not_say_of_what_is_left_out(task, core):
    assert without_qualifiers(task) == core


@pytest.mark.parametrize(
    "task",
    [
        "list the causes of World War I",
        "suggest a visa for Peru",
        "calculate the area with 5",
        "write a slogan for a bike shop",
        "explain the difference between cats and dogs",
        "define risk in economics",
        "explain C++ in C++",
    ],
)
def test_what_says_of_what_stays(task):
    assert without_qualifiers(task) == task
