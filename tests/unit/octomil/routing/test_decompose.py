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


@pytest.mark.parametrize(
    "text",
    [
        "Write a joke about cats and explain why people laugh.",
        "Write a joke about cats and explain why people find cats funny.",
        "Write a pun about bread and explain why readers might groan.",
        "Write a slogan for a bike shop and justify why customers would remember.",
        "Name a good first programming language and explain why beginners struggle.",
        "Recommend a laptop for students and explain why buyers might hesitate.",
        "Write a Python function that reverses a list and explain how callers should use it.",
        "Write a Python function that reverses a list and explain what happens with empty input.",
        "Write a SQL query that finds duplicates and explain how indexes would help.",
        "Write a regex for emails and explain what could fail.",
        "Write a ghost story and explain why readers get scared.",
        "Write a limerick about rain and explain how rhyme is used.",
        "Design a logo for a bakery and explain why customers would like the colors.",
        "Draft an email to my boss and explain why someone could take offence.",
        "Compose a melody in C minor and describe how listeners might feel.",
        "Suggest a name for a puppy and say why.",
        "Suggest a name for a puppy and tell me why people would choose it.",
        "Propose a diet for runners and explain how much water to drink.",
        "Write a riddle about time and explain how solvers reach the answer.",
        "Create a password policy and explain why users hate it.",
        "Invent a board game and describe how players win.",
        "Invent a sport and describe how teams score.",
        "Invent a holiday and explain what families do.",
        "Design a database schema for a library and explain why tables are split.",
        "Write a bash script that backs up a folder and explain what each line does.",
        "Write a bash script that backs up a folder and explain how to run it.",
        "Write a bash script that backs up a folder and show how to schedule runs.",
        "Plan a trip to Rome and explain why tourists should book early.",
        "Give me a recipe for pancakes and explain why eggs matter.",
        "Write a metaphor for grief and explain what mourners would recognise.",
        "Translate 'carpe diem' to English and explain when people say it.",
        "Write a proverb about patience and explain what teachers could learn.",
        "Define recursion in one sentence and explain why students get confused.",
        "Write a hypothesis about sleep and describe how researchers could test it.",
        "Create a magic trick with coins and explain how audiences are fooled.",
        "Write a commercial for soap and explain why viewers buy.",
        "Write a haiku about tea, then explain why poets count syllables.",
        "Write a fable about a fox. Explain why children enjoy such stories.",
        "Write a fable about a fox. Then describe what parents could discuss.",
        "Make a quiz about space and explain why wrong answers are tempting.",
        "Write a cover letter and explain what recruiters notice.",
        "Calculate 15% of 340 and explain how anyone can check the result.",
        "Write a CSS rule that centers a div and explain why browsers differ.",
        "Write a poem about dragons and explain how dragons became popular.",
    ],
)
def test_account_of_something_without_a_name_waits_for_the_task_before(text):
    first, *later = decompose(text)

    assert first.depends_on is None
    assert all(task.depends_on is not None for task in later)


@pytest.mark.parametrize(
    "text",
    [
        "Write a haiku about tea and explain how photosynthesis works.",
        "Translate 'dog' to French. Explain why the sky is blue.",
        "Explain how vaccines work and write a haiku about autumn.",
        "Calculate 10% of 200 and explain why Rome fell.",
        "Calculate 10% of 200 and explain what a mutex is.",
        "Write a limerick about rain. Describe how a fridge works.",
        "Name three noble gases and explain why 17 is prime.",
        "Convert 10 miles to km. Explain why the moon has phases.",
        "Write a joke about cats and explain what an API is.",
    ],
)
def test_explanation_of_a_thing_that_it_names_waits_for_none(text):
    tasks = decompose(text)

    assert [task.depends_on for task in tasks] == [None, None]
