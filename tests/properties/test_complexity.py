"""Each documented signal raises the score, whatever surrounds it, and can always be felt."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octomil.routing import features
from octomil.routing.complexity import bounded, score, scorer, trust_in
from octomil.routing.features import Signals

FELT = 0.05
WORDS = st.sampled_from(
    [
        "hello",
        "why",
        "the",
        "court",
        "tensor",
        "42",
        "python",
        "not",
        "explain",
        "=",
        "café",
        "東京",
    ]
)
TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="`"), max_size=80) | (
    st.lists(WORDS, max_size=40).map(" ".join)
)
PARTS = st.floats(0, 1)
SIGNALS = st.builds(Signals, PARTS, PARTS, PARTS, PARTS, PARTS)


def ask(text, *, turns=1, system=""):
    earlier = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    before = [{"role": "system", "content": system}] if system else []
    return score([*before, *earlier * (turns - 1), {"role": "user", "content": text}])


@pytest.mark.parametrize("name", Signals._fields)
@given(text=TEXTS, others=SIGNALS, low=PARTS, high=PARTS, learned=st.floats(-9, 9))
def test_a_signal_alone_never_lowers_the_score_and_is_felt(name, text, others, low, high, learned):
    low, high = sorted((low, high))
    model, prompt = scorer(), features.read(text)
    learned = bounded(learned, trust_in(prompt))

    def at(value):
        return model.combine(learned, prompt, others._replace(**{name: value}))

    assert 0.0 <= at(0.0) <= at(low) <= at(high) <= at(1.0) <= 1.0
    assert at(1.0) - at(0.0) >= FELT


@given(TEXTS, st.integers(1, 30), st.integers(1, 30))
def test_deeper_conversations_never_score_lower(text, fewer, more):
    fewer, more = sorted((fewer, more))

    assert ask(text, turns=fewer) <= ask(text, turns=more)
    assert ask(text, turns=30) - ask(text) >= FELT


@given(TEXTS, TEXTS, TEXTS)
def test_longer_system_prompts_never_score_lower(text, system, addition):
    assert ask(text, system=system) <= ask(text, system=system + addition)
    assert ask(text, system="Follow every rule below. " * 100) - ask(text) >= FELT


@given(TEXTS, st.integers(0, 5))
def test_fenced_code_never_lowers_the_score(text, lines):
    assume(len(text) < 90)
    code = "\n".join(["x = f(x)"] * lines)

    assert ask(text) <= ask(f"{text}\n```\n{code}\n```") <= 1.0


@given(st.integers(0, 500), st.integers(0, 500))
def test_more_of_the_same_words_never_score_lower(fewer, more):
    fewer, more = sorted((fewer, more))
    values = [
        features.signals(features.read("tell " * count), 1, "").words for count in (fewer, more)
    ]

    assert values == sorted(values)


@given(st.lists(WORDS, max_size=20), st.lists(st.sampled_from(["tensor", "statute"]), max_size=3))
def test_more_terms_never_count_as_plainer(words, terms):
    before, after = (features.read(" ".join(each)).vocabulary for each in (words, [*words, *terms]))

    assert before <= after
