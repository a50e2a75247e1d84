import pytest

from octomil.routing.imperatives import AUXILIARIES, QUESTION_WORDS, VERBS, is_question


def test_no_word_is_of_two_kinds():
    assert VERBS.isdisjoint(QUESTION_WORDS)
    assert AUXILIARIES.isdisjoint(VERBS | QUESTION_WORDS)
    assert all(word == word.lower() for word in VERBS | QUESTION_WORDS | AUXILIARIES)


@pytest.mark.parametrize(
    ("segment", "asks"),
    [
        ("what is a mutex", True),
        ("who wrote Hamlet", True),
        ("how many moons does Mars have", True),
        ("where's the sea", True),
        ("why on earth?", True),
        ("when I was young", False),
        ("which he did", False),
        ("what", False),
        ("", False),
    ],
)
def test_question_asks_by_its_order_of_words_or_its_mark(segment, asks):
    assert is_question(segment) is asks
