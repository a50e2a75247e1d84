"""The policy that published clients route queries by."""

import pytest

from octomil.routing.lexicon import FACTUAL, PRONOUNS, SMALL_TALK, STOPWORDS
from octomil.routing.policy import POLICY


def score(text: str) -> float:
    """As published clients are documented to score by such a policy."""
    length = min(1.0, len(text.split()) / POLICY.quality_min_words)
    found = sum(word in text.lower() for word in POLICY.complex_indicators)
    words = min(1.0, found / POLICY.indicator_normalizor)
    return POLICY.length_weight * length + POLICY.indicator_weight * words


def test_words_are_plain_and_there_once():
    words = POLICY.complex_indicators

    assert len(words) > 100
    assert list(words) == sorted(set(words))
    assert all(word == word.lower() and word.isascii() for word in words)


def test_no_word_is_found_in_one_that_says_nothing():
    easy = SMALL_TALK | STOPWORDS | FACTUAL | PRONOUNS | {"capital", "therapist", "japan", "sugar"}

    assert [each for each in POLICY.complex_indicators if any(each in word for word in easy)] == []


@pytest.mark.parametrize(
    ("text", "is_easy"),
    [
        ("What time is it in Tokyo?", True),
        ("What is the capital of Peru?", True),
        ("hello, how are you today?", True),
        (
            "Explain the tradeoffs between FedAvg and FedProx across heterogeneous edge devices.",
            False,
        ),
        ("Implement a recursive algorithm in Python and analyze its complexity.", False),
    ],
)
def test_easy_questions_stay_below_the_first_threshold(text: str, is_easy: bool):
    assert (score(text) < POLICY.fast_threshold) is is_easy
