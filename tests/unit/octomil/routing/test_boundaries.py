import pytest

from octomil.routing.boundaries import find_boundaries
from octomil.routing.masking import mask


def cut(sentence: str) -> list[str]:
    """The parts of a sentence that begins with its own verb."""
    parts, start = [], 0
    for boundary in find_boundaries(mask(sentence), 0, len(sentence), 0):
        parts.append(sentence[start : boundary.start])
        start = boundary.task
    return [*parts, sentence[start:]]


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("explain tides, then write a poem", ["explain tides", "write a poem"]),
        ("explain tides and write a poem", ["explain tides", "write a poem"]),
        ("explain tides and then please write a poem", ["explain tides", "please write a poem"]),
        (
            "explain tides, write a poem, and list three fish",
            ["explain tides", "write a poem", "list three fish"],
        ),
        ("who wrote Emma and what is a mutex?", ["who wrote Emma", "what is a mutex?"]),
        ("define entropy and convert 3 km to miles", ["define entropy", "convert 3 km to miles"]),
        ("write a script to sort files, then explain DNS", None),
    ],
)
def test_imperative_after_a_connecting_word_begins_a_task(sentence, parts):
    expected = parts or ["write a script to sort files", "explain DNS"]

    assert cut(sentence) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "explain tides",
        "compare and contrast cats and dogs",
        "write a script to fetch a page and list its links",
        "write a program that will read numbers, calculate the mean, and list them",
        "define entropy and give an example",
        "explain what entropy is and why it grows",
        "tell me how I can plan a trip and create a budget",
        "explain read and write locks",
        "write a story and make it funny",
        "describe gravity and explain relativity in simple terms",
        "when did he start and when did he stop",
        "what is the difference between cats and what are dogs",
        "write 'explain tides, then write a poem'",
        "write a story, name the hero Tom",
    ],
)
def test_verb_that_may_belong_to_the_same_task_does_not(sentence):
    assert cut(sentence) == [sentence]


def test_sentence_with_more_turns_than_any_message_has_stays_whole():
    sentence = "explain tides" + ", then write a poem" * 17

    assert cut(sentence) == [sentence]
