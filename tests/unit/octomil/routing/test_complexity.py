"""The score over the signals that the document lists, each alone and all together."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.routing import features
from octomil.routing.complexity import score, scorer, text_of
from support.documents import ROOT

SOURCES = sorted(
    path
    for path in (ROOT / "src").rglob("*.py")
    if path != ROOT / "src/octomil/cli/serve.py"  # prints them, as documented
)

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


SIMPLE = [
    "Hello", "Hi there!", "Good morning", "hey, how are you?", "Thanks a lot",
    "Hi, how is it going today?",
    "What time is it in Tokyo?", "What is the current time in Oslo?", "Tell me the time in Berlin",
    "What's the local time in Lima right now?", "Do you know what time it is in Sydney?",
    "Could you tell me what time it is in Cairo?",
    "What is the capital of France?", "What's the capital city of Spain?",
    "Which city is the capital of Japan?", "Name the capital of Norway.",
    "Can you tell me the capital of Peru?", "Do you know what the capital of Kenya is?",
    "translate hello world to French", "Translate good evening into German",
    "How do you say thank you in Italian?", "Please translate 'see you soon' to Spanish",
    "What is the French word for bread?", "Say happy birthday in Portuguese",
]  # fmt: skip
HARD = [
    "Write a REST API in Python", "Build me a RESTful service in Python",
    "Implement an HTTP API using Flask", "Please code a REST API with Python and FastAPI",
    "Create a Python web service that exposes a REST API",
    "I need a Python program that serves a REST API",
    FEDAVG,
    ("Compare FedAvg with FedProx when client data is not identically distributed and edge "
     "hardware is heterogeneous."),
    "What are the trade-offs of FedProx versus FedAvg for heterogeneous devices and non-IID data?",
    ("Analyze how FedAvg and FedProx differ in convergence under non-IID distributions on edge "
     "devices."),
    ("Discuss the pros and cons of FedAvg against FedProx on heterogeneous edge devices with "
     "non-IID data."),
    ("Explain why one would choose FedProx over FedAvg when data distributions differ across "
     "heterogeneous clients."),
    "Summarize the key points of attention mechanisms",
    "Summarise how attention mechanisms work in transformers",
    "Outline the main ideas behind attention mechanisms in neural networks",
    "Explain the most important aspects of attention mechanisms",
    "Give an overview of the key ideas of the attention mechanism in transformers",
    "Describe the essential points of attention mechanisms in neural networks",
    "write a Python sort function", "Write a Python function that reverses a string.",
]  # fmt: skip


@pytest.mark.parametrize("query", SIMPLE)
def test_documented_simple_queries_and_their_paraphrases_stay_below_the_first_threshold(query):
    assert of(query) < 0.3


@pytest.mark.parametrize("query", HARD)
def test_documented_hard_queries_and_their_paraphrases_reach_the_second_threshold(query):
    assert of(query) >= 0.7


TIER_CASES = [
    json.loads(line)
    for line in (ROOT / "tests/data/tier_cases.jsonl").read_text("utf-8").splitlines()
]


def test_there_are_enough_cases_for_every_tier():
    counts = Counter(tier for case in TIER_CASES for tier in case["tiers"])

    assert len(TIER_CASES) >= 80
    assert counts["fast"] >= 30
    assert counts["quality"] >= 40


@pytest.mark.parametrize("case", TIER_CASES, ids=lambda case: case["prompt"][:40])
def test_prompt_lands_in_a_tier_that_can_answer_it(case):
    value = of(case["prompt"])

    assert ("fast" if value < 0.3 else "balanced" if value < 0.7 else "quality") in case["tiers"]


def test_the_code_does_not_know_the_documented_examples():
    texts = {path: path.read_text(encoding="utf-8").lower() for path in SOURCES}

    assert len(texts) > 100
    for words in ("fedavg and fedprox", "tokyo", "france", "hello world", "attention mechanisms"):
        assert [path for path, text in texts.items() if words in text] == []


PROMPTS = [
    json.loads(line)["prompt"]
    for line in (ROOT / "tests/data/routing_prompts.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize(
    "change",
    [str.upper, str.title, "{}.".format, "{} !!".format, "{} please".format, "Please {}".format],
    ids=["upper", "title", "full stop", "exclamation", "please", "Please"],
)
def test_manners_and_case_leave_the_tier_as_it_is(change):
    def tier(text):
        return (of(text) >= 0.3) + (of(text) >= 0.7)

    same = sum(tier(prompt) == tier(change(prompt)) for prompt in PROMPTS)

    assert same / len(PROMPTS) >= 0.95


def test_words_without_a_signal_land_in_the_middle():
    assert 0.3 <= of("blorp fizz") < 0.7


def test_an_explanation_adds_nothing_of_its_own():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Explain tides"},
    ]
    found = scorer().explain(messages)
    effects = {effect.name: effect for effect in found.effects}

    assert found.score == score(messages)
    assert effects["reasoning"].value == 1.0
    assert effects["reasoning"].contribution > effects["words"].contribution > 0
    assert effects["simple"].contribution == effects["depth"].contribution == 0
    assert -1 <= found.expected_gain <= 1


def test_only_a_bounded_part_of_a_text_is_taken_apart():
    prompt = features.read("word " * 1_000_000)

    assert len(prompt.prose) <= 2 * features.WINDOW + 1
    assert prompt.words > 500_000


def test_memory_of_words_is_bounded():
    memo = features.Memo(len)
    for number in range(features.Memo.LIMIT + 10):
        memo[str(number)]
    memo["x" * 1_000]

    assert len(memo) <= features.Memo.LIMIT
    assert "x" * 1_000 not in memo


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
