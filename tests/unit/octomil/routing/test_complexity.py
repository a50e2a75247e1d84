"""The score over the signals that the document lists, each alone and all together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.routing.complexity import score, text_of

FEDAVG = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)
ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def of(text: str, *, system: str | None = None, earlier: int = 0) -> float:
    """The score of a question, after a system prompt and some earlier turns."""
    before = [{"role": "system", "content": system}] if system else []
    for _ in range(earlier):
        before += [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    return score([*before, {"role": "user", "content": text}])


@pytest.mark.parametrize(
    "query", ["Hello", "hello", "What time is it in Tokyo?", "What is the capital of France?"]
)
def test_documented_simple_queries_stay_below_the_first_threshold(query):
    assert of(query) < 0.3


@pytest.mark.parametrize("query", ["Write a REST API in Python", FEDAVG])
def test_documented_hard_queries_reach_the_second_threshold(query):
    assert of(query) >= 0.7


@pytest.mark.parametrize(
    ("harder", "easier"),
    [
        ("Tell me about the sea. " * 20, "Tell me about the sea."),
        ("Describe photosynthetic electrophysiology", "Describe how green leaves work"),
        ("Debug this: `def f(x): return x`", "Mend this: eff of ex is ex"),
        ("Explain why does the moon not fall", "Where is the moon tonight"),
    ],
)
def test_each_signal_alone_makes_a_query_harder(harder, easier):
    assert of(harder) > of(easier)


def test_deep_conversations_and_long_instructions_make_a_query_harder():
    assert of("And now?", earlier=8) > of("And now?", earlier=1) > of("And now?")
    assert of("And now?", system="Be brief. " * 100) > of("And now?", system="Be brief.")


def test_only_the_last_question_counts_not_those_before_it():
    first = {"role": "user", "content": FEDAVG}
    answer = {"role": "assistant", "content": FEDAVG}

    assert score([first, answer, {"role": "user", "content": "Thanks"}]) < 0.3


def test_nothing_asked_is_nothing_hard():
    assert score([]) == 0.0
    assert of("") == 0.0
    assert score([{"role": "user", "content": None}]) == 0.0


def test_text_without_words_to_judge_by_lands_in_the_middle():
    assert 0.3 <= of("??? !!!") < 0.7


def test_end_of_a_very_long_text_is_read_as_well_as_its_beginning():
    filler = "lorem ipsum " * 5000

    assert of(f"{filler} Explain this step by step.") > of(filler)
    assert of(f"Explain this step by step. {filler}") > of(filler)


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
            optional={
                "content": st.none()
                | ANY_TEXT
                | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": ANY_TEXT}))
                | st.lists(st.dictionaries(ANY_TEXT, st.integers()))
            },
        ),
        max_size=5,
    )
)
def test_any_conversation_scores_between_nought_and_one(messages):
    assert 0.0 <= score(messages) <= 1.0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "text", "text": 5}, "loose", None], ""),
        (5, ""),
    ],
)
def test_text_of_a_message_is_all_its_text_parts(content, text):
    assert text_of(content) == text
