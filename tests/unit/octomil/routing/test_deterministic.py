import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from octomil.errors import ConfigurationError
from octomil.routing.deterministic import (
    MAX_QUERY_CHARS,
    DeterministicAnswer,
    DeterministicTier,
    check_deterministic,
)

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[3] / "data" / "tier0_cases.jsonl").read_text().splitlines()
]


def test_documented_queries_are_answered_as_documented() -> None:
    assert check_deterministic("what is 2+2?") == DeterministicAnswer("4", "arithmetic", 1.0)
    assert check_deterministic("What is 15% of 240?") == DeterministicAnswer("36.0", "percentage")
    assert check_deterministic("Convert 72°F to Celsius") == DeterministicAnswer(
        "22.22°C", "unit_conversion"
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is \n2+2?", "4"),
        ("What is  \n  2+2?", "4"),
        ("What is\n\n2 +  2?", "4"),
        ("Please calculate:\n2+2\nthanks", "4"),
        ("Convert 72°F\r\nto Celsius", "22.22°C"),
        ("2\n+2", None),
        ("2+\n2", None),
        ("10\n000", None),
        ("2+2\n3+3", None),
        ("2+2?\nWhat is 3+3?", None),
        ("half of 10\nhalf of 20", None),
        ("ten minus two\nhundred", None),
        ('What is "2\n+2"?', None),
        ("What is `2\n+2`?", None),
    ],
)
def test_parts_of_one_question_are_put_together_and_lines_of_numbers_are_not(text, answer) -> None:
    found = check_deterministic(text)

    assert (found and found.answer) == answer


def test_case_file_is_large_and_half_of_it_passes_on() -> None:
    passes = [case for case in CASES if case["answer"] is None]

    assert len(CASES) >= 300
    assert 2 * len(passes) >= len(CASES)
    assert len({case["text"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_case_gets_its_answer_or_passes_on(case: dict[str, str | None]) -> None:
    found = check_deterministic(str(case["text"]))

    assert (found.answer if found else None) == case["answer"]


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "9^9^9^9^9",
        "2^100000",
        "(" * 10**5 + "1" + ")" * 10**5,
        "(" * 120 + "1" + ")" * 120,
        "(" * 17 + "1" + ")" * 17 + "+1",
        "9" * 2**20,
        "9" * 60 + "+1",
        "what is " * 2**17,
        "99999999*" * 28 + "9",
        "1+" * 127 + "1",
        "2^" * 127 + "2",
        "sqrt(" * 40 + "2" + ")" * 40,
        "\N{FULLWIDTH DIGIT TWO}+\N{FULLWIDTH DIGIT TWO}",
        "\N{ARABIC-INDIC DIGIT TWO} + \N{ARABIC-INDIC DIGIT TWO}",
        "1/7+1/11+1/13+" * 17 + "1",
        "hundred " * 31,
        "how many in " * 20 + "5",
        "10% of " * 35 + "5 km",
        "factorial of 99",
        "\x00",
        "",
    ],
    ids=lambda text: text[:20],
)
def test_hostile_text_is_refused(text: str) -> None:
    assert check_deterministic(text) is None


def test_text_over_the_length_limit_is_refused_whatever_it_says() -> None:
    at_limit = "2+2".ljust(MAX_QUERY_CHARS)

    assert check_deterministic(at_limit) is not None
    assert check_deterministic(at_limit + " ") is None


def test_tier_remembers_answers_and_passes() -> None:
    tier = DeterministicTier()

    first = [tier.check("2+2"), tier.check("what is love")]
    second = [tier.check("2+2"), tier.check("what is love")]

    assert first == second == [DeterministicAnswer("4", "arithmetic"), None]
    assert (tier.hits, tier.misses) == (2, 2)


def test_tier_forgets_the_least_recently_asked() -> None:
    tier = DeterministicTier(max_entries=2)

    for text in ("1+1", "2+2", "1+1", "3+3", "1+1", "2+2"):
        tier.check(text)

    assert (tier.hits, tier.misses) == (2, 4)


def test_tier_never_remembers_long_text() -> None:
    tier = DeterministicTier()

    assert tier.check("9" * (MAX_QUERY_CHARS + 1)) is None
    assert (tier.hits, tier.misses) == (0, 0)


def test_tier_without_memory_still_answers() -> None:
    tier = DeterministicTier(max_entries=0)

    assert [tier.check("2+2"), tier.check("2+2")] == [DeterministicAnswer("4", "arithmetic")] * 2
    assert tier.hits == 0


def test_tier_refuses_a_negative_size() -> None:
    with pytest.raises(ConfigurationError, match="max_entries=-1"):
        DeterministicTier(max_entries=-1)


def test_tier_answers_many_threads_alike() -> None:
    tier = DeterministicTier(max_entries=8)
    texts = [f"{number}+1" for number in range(32)] * 8

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(tier.check, texts))

    assert [found.answer for found in answers if found] == [str(n + 1) for n in range(32)] * 8
    assert tier.hits + tier.misses == len(texts)
