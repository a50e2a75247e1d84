import gzip
import json
import re
from collections import Counter

import pytest

from octomil.routing.decompose import (
    MAX_CHARS,
    MAX_TASKS,
    SubTask,
    decompose,
    lineage,
    merge,
)
from support.documents import ROOT
from support.needs import skip_or_fail

CASES = [
    json.loads(line)
    for line in (ROOT / "tests/data/decompose_cases.jsonl").read_text("utf-8").splitlines()
]
CALIBRATION = ROOT.parent / "shared" / "data" / "routing" / "calibration.jsonl.gz"

SHARE_RIGHT = 0.95
SHARE_AT_ONCE = 0.8
"""How many of the messages with independent tasks must have none that waits."""

ALIKE = 0.8
"""Token F1 from which a part counts as the expected one."""


def of_kind(*kinds: str) -> list[dict]:
    return [case for case in CASES if case["kind"] in kinds]


def f1(one: str, other: str) -> float:
    """Harmonic mean of precision and recall over words."""
    counts = [Counter(re.findall(r"\w+", text.lower())) for text in (one, other)]
    shared = sum((counts[0] & counts[1]).values())
    return 2 * shared / sum(map(sum, (count.values() for count in counts)))


def is_whole(case: dict, tasks: tuple[SubTask, ...]) -> bool:
    return tasks == (SubTask(case["text"]),)


def has_its_parts(case: dict, tasks: tuple[SubTask, ...]) -> bool:
    return len(tasks) == len(case["parts"]) and all(
        f1(task.text, part) >= ALIKE for task, part in zip(tasks, case["parts"], strict=True)
    )


def waits_where_it_must(case: dict, tasks: tuple[SubTask, ...]) -> bool:
    return [task.depends_on for task in tasks] == case["depends"]


def is_right(case: dict) -> bool:
    """Whether a case is decomposed as its kind demands; dependent steps may stay whole, too."""
    tasks = decompose(case["text"])
    if case["kind"] in ("single", "adversarial"):
        return is_whole(case, tasks)
    if case["kind"] == "independent":
        return has_its_parts(case, tasks)
    is_chain = has_its_parts(case, tasks) and waits_where_it_must(case, tasks)
    return is_chain or is_whole(case, tasks)


def wrong(*kinds: str) -> list[str]:
    return [case["text"] for case in of_kind(*kinds) if not is_right(case)]


def test_there_are_enough_cases_of_every_kind():
    counts = Counter(case["kind"] for case in CASES)

    assert counts["independent"] >= 55
    assert counts["sequential"] + counts["mixed"] >= 60
    assert counts["adversarial"] >= 80
    assert counts["single"] >= 20


@pytest.mark.parametrize("kind", ["independent", "single", "sequential", "mixed", "adversarial"])
def test_nearly_every_case_is_right(kind):
    assert 1 - len(wrong(kind)) / len(of_kind(kind)) >= SHARE_RIGHT, wrong(kind)


def test_most_dependent_steps_become_chains_rather_than_staying_whole():
    cases = of_kind("sequential", "mixed")

    chains = [case for case in cases if len(decompose(case["text"])) > 1]

    assert len(chains) / len(cases) >= 0.8


@pytest.mark.parametrize("case", of_kind("sequential", "mixed"), ids=lambda case: case["text"][:40])
def test_dependent_step_never_runs_beside_what_it_needs(case):
    tasks = decompose(case["text"])

    if has_its_parts(case, tasks):
        for task, expected in zip(tasks, case["depends"], strict=True):
            assert expected is None or task.depends_on is not None, task
    else:
        assert is_whole(case, tasks)


def test_most_independent_tasks_wait_for_none():
    cases = of_kind("independent")

    waiting = [c["text"] for c in cases if not waits_where_it_must(c, decompose(c["text"]))]

    assert 1 - len(waiting) / len(cases) >= SHARE_AT_ONCE, waiting


@pytest.mark.parametrize(
    "text",
    [
        CASES[0]["text"],
        "Explain quantum computing and write a Python sort function",
        "Explain gravity, then calculate 15% of 340.",
        "Describe osmosis, then explain the Pythagorean theorem",
        'Explain tides, then translate "good day" to Polish',
    ],
)
def test_task_with_a_name_a_number_or_data_of_its_own_does_not_wait(text):
    tasks = decompose(text)

    assert len(tasks) > 1
    assert {task.depends_on for task in tasks} == {None}


@pytest.mark.parametrize("joint", [", then ", " and then ", ". Then ", ", next "])
def test_next_step_waits_for_the_one_before(joint):
    assert [t.depends_on for t in decompose(f"Explain tides{joint}define entropy")] == [None, 0]


def test_prompts_that_ask_one_thing_stay_byte_identical():
    if not CALIBRATION.exists():
        skip_or_fail("the calibration prompts are not beside this repository")
    with gzip.open(CALIBRATION, "rt", encoding="utf-8") as lines:
        prompts = [json.loads(line)["prompt"] for line in lines]

    whole = sum(decompose(prompt) == (SubTask(prompt),) for prompt in prompts)

    assert len(prompts) > 10_000
    assert whole / len(prompts) >= 0.99


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "?",
        "explain write",
        'Explain "this and write that. Describe it.',
        "Explain this:\n```python\nprint(1)\nWrite a test. Describe it.",
        "Explain tides. " + "x" * MAX_CHARS + " Write a poem about the sea.",
        "Explain tides.\n" + "Define entropy.\n" * MAX_TASKS,
    ],
)
def test_what_cannot_be_read_safely_stays_whole(text):
    assert decompose(text) == (SubTask(text),)


def test_as_many_tasks_as_may_be_are_found():
    text = "\n".join(f"{n}. Define word{n}" for n in range(1, MAX_TASKS + 1))

    assert [task.text for task in decompose(text)] == [
        f"Define word{n}" for n in range(1, MAX_TASKS + 1)
    ]


@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("Write a poem about tea, calculate 2+2, and translate it.", None),
        ("Name a city in Peru. Explain gravity. Compare them.", None),
        ("Write a poem about tea. Define entropy. Translate the poem.", [None, None, 0]),
        ("Let x = 3. Compute x + 1. Compute x + 2.", None),
    ],
)
def test_task_that_leans_on_more_than_one_keeps_the_message_whole(text, depends):
    tasks = decompose(text)

    if depends is None:
        assert tasks == (SubTask(text),)
    else:
        assert [task.depends_on for task in tasks] == depends


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([], ""),
        (["one"], "one"),
        ([" one\n", "\ntwo "], "one\n\ntwo"),
        (["one", " \n", "two"], "one\n\ntwo"),
        (["one\n\nmore", "two"], "one\n\nmore\n\ntwo"),
    ],
)
def test_answers_are_joined_by_an_empty_line(answers, text):
    assert merge(answers) == text


@pytest.mark.parametrize(
    ("depends", "index", "expected"),
    [
        ([None], 0, ()),
        ([None, None], 1, ()),
        ([None, 0], 1, (0,)),
        ([None, 0, 1], 2, (0, 1)),
        ([None, None, 0, 2], 3, (0, 2)),
    ],
)
def test_lineage_leads_back_to_a_task_that_leans_on_none(depends, index, expected):
    tasks = [SubTask(f"task {i}", support) for i, support in enumerate(depends)]

    assert lineage(tasks, index) == expected


@pytest.mark.parametrize(
    "joint",
    [
        ", ", " and ", " then ", " also ", " plus ", ". ", "! ", "; ", "\n", " AND ",
        "\u00a0and\u2003", "\tthen\x0b", " al\u017fo ",
    ],
)  # fmt: skip
def test_every_joint_between_two_tasks_is_seen(joint):
    tasks = decompose(f"Explain gravity{joint}calculate 15% of 340")

    assert len(tasks) == 2


@pytest.mark.parametrize("text", ["1) name a river 2) name a city", "What is 2+2?\x0bWhat is 3+3"])
def test_a_joint_is_no_more_than_one_mark(text):
    assert len(decompose(text)) == 2


def test_two_verbs_without_a_joint_are_one_task():
    assert len(decompose("Explain how to solve and write")) == 1
    assert len(decompose("Explain why people write what they write")) == 1
