import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.routing.confidence import SURE, WINDOW_TOKENS, probability_correct

LOGPROBS = st.lists(st.floats(max_value=0, allow_nan=False), min_size=1, max_size=40)


@given(LOGPROBS)
def test_it_is_a_probability(logprobs):
    assert 0 <= probability_correct(logprobs) <= 1


@given(LOGPROBS, st.integers(0, 39), st.floats(0.01, 10))
def test_a_likelier_token_never_lowers_it(logprobs, place, more):
    likelier = list(logprobs)
    place %= len(likelier)
    likelier[place] = min(0.0, likelier[place] + more)

    assert probability_correct(likelier) >= probability_correct(logprobs) - 1e-12


def test_tokens_after_the_window_are_not_looked_at():
    window = [-0.1] * WINDOW_TOKENS

    assert probability_correct([*window, -9.0, -9.0]) == probability_correct(window)


def test_no_tokens_are_no_answer():
    assert probability_correct([]) == 0.0
    assert probability_correct([-math.inf]) == pytest.approx(0.0, abs=1e-9)


def test_length_alone_changes_nothing():
    assert probability_correct([-0.2] * 3) == pytest.approx(probability_correct([-0.2] * 12))


def test_sure_and_unsure_answers_fall_on_different_sides():
    assert probability_correct([-0.02, -0.1, -0.01, -0.3]) > SURE
    assert probability_correct([-1.9, -0.4, -1.1, -0.9]) < SURE
