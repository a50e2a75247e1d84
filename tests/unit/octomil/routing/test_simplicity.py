import pytest

from octomil.routing.features import read
from octomil.routing.simplicity import FOR_A_FACT, IN_PASSING, MOST_WORDS


@pytest.mark.parametrize(
    "text",
    [
        "Hello!", "Good morning everyone", "Hi Anna", "Thanks, that was really useful",
        "ok cool", "see you later", "yes", "Why?", "why not", "go on", "Continue, please.",
        "and then?", "do it again", "Explain!",
    ],
)  # fmt: skip
def test_small_talk_and_bare_follow_ups_are_said_in_passing(text):
    assert read(text).simple == IN_PASSING
    assert not read(text).reasoning


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Liechtenstein?", "who wrote Emma", "In which year did he die?",
        "How old is the universe?", "could you tell me how tall she is", "Tell me a joke",
        "Define serendipity", "How do you say bread in French?", "Name the largest planet.",
        "What is the plural of word(s)?", "Hello, what time is it?",
    ],
)  # fmt: skip
def test_short_questions_for_a_fact_and_errands_are_simple(text):
    assert read(text).simple == FOR_A_FACT


@pytest.mark.parametrize(
    "text",
    [
        "", "???", "Is P equal to NP?", "Was ist das?", "Is het koud?", "Name drei Farben",
        "Hi, kannst du helfen, bitte sofort?", "Thanks, now optimize it for speed",
        "What is [1, 2][0]?", "What does f(x) mean?", "What is x = 3?", "What is 2**8?",
        "What is entropy?", "What is photosynthetic electrophysiology?", "What if it rains?",
        "What would happen next?", "What is the difference between jam and jelly?",
        "Tell me about Rome", "Tell me how vaccines work", "How do vaccines work?",
        "calculate the mean of these", "Why is the sky blue?", "Explain tides",
        "What " + "very " * MOST_WORDS,
    ],
)  # fmt: skip
def test_whatever_may_be_hard_is_not_simple(text):
    assert read(text).simple == 0


def test_a_question_of_as_many_words_as_may_be_is_simple_and_one_more_is_not():
    words = ["what", "is", *["the"] * (MOST_WORDS - 3), "time"]

    assert read(" ".join(words)).simple == FOR_A_FACT
    assert read(" ".join([*words, "now"])).simple == 0
