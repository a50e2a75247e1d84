"""Any text at all: tasks are slices of it in order, and reading it costs little."""

import importlib
import re
import string
from re import _constants as opcodes
from re import _parser as parser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from octomil.routing import anaphora
from octomil.routing.cues import CuedPattern
from octomil.routing.decompose import MAX_CHARS, MAX_TASKS, SubTask, decompose, merge
from octomil.routing.masking import MASK, mask
from octomil.serve.merging import Merger

EXAMPLES = 500

TASKS = [
    "explain gravity",
    "write a haiku about tea",
    "calculate 15% of 340",
    "translate it to German",
    "What is the capital of Peru?",
    "list three noble gases",
    "add 10 to the result",
    'define "a, then write b"',
    "`write x; list y`",
    "https://example.org/a;b",
]
GLUE = [" and ", ", then ", ". ", "; ", "\n", "\n- ", "\n1. ", "\n2) ", " ", ", ", "?! ", "\n```\n"]
FRAGMENTS = [
    *TASKS,
    *GLUE,
    *"\"'`$()[]{}\u00ab\u00bb\u201c\u201d.,;:?! \n\t\\",
    "\\(",
    "\\[",
    "Dr.",
    "e.g.",
]

messages = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join),
    st.lists(st.sampled_from(TASKS), min_size=1, max_size=10).flatmap(
        lambda tasks: st.lists(st.sampled_from(GLUE), min_size=len(tasks), max_size=len(tasks)).map(
            lambda glue: "".join(map("".join, zip(tasks, glue, strict=True)))
        )
    ),
)


@settings(max_examples=EXAMPLES, deadline=None)
@example("Explain gravity. Explain gravity. Explain gravity.")
@given(messages)
def test_tasks_are_slices_in_order_that_lean_only_on_earlier_ones(text):
    tasks = decompose(text)

    assert 1 <= len(tasks) <= MAX_TASKS
    if len(tasks) == 1:
        assert tasks == (SubTask(text),)
        return
    end = 0
    for index, task in enumerate(tasks):
        assert task.text
        start = text.find(task.text, end)
        assert start >= end
        end = start + len(task.text)
        assert task.depends_on is None or 0 <= task.depends_on < index


@settings(max_examples=EXAMPLES, deadline=None)
@given(messages)
def test_masking_keeps_every_offset(text):
    masked = mask(text)

    assert len(masked) == len(text)
    assert all(new in (old, MASK) for old, new in zip(text, masked, strict=True))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.sampled_from(["'{}'", '"{}"', "`{}`", "\u201c{}\u201d", "https://{}"]),
    st.sampled_from(TASKS[:7]),
)
def test_what_is_quoted_asks_for_nothing(form, task):
    quoted = form.format(task.replace(" ", "-") if form.startswith("https") else f"{task}. {task}")

    assert decompose(f"Rewrite {quoted}") == (SubTask(f"Rewrite {quoted}"),)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.lists(st.text(" \n\tab", max_size=4), max_size=5), max_size=4))
def test_merging_piece_by_piece_gives_what_merging_at_once_does(answers):
    merger = Merger()
    said = []
    for pieces in answers:
        said += [merger.add(piece) for piece in pieces]
        merger.begin_answer()

    assert "".join(said) == merge(["".join(pieces) for pieces in answers])


@pytest.mark.parametrize("fragment", FRAGMENTS)
@pytest.mark.parametrize("opening", ["", "explain tides and write "])
def test_flood_of_one_thing_is_read(fragment, opening):
    text = (opening + fragment * MAX_CHARS)[:MAX_CHARS]

    assert decompose(text)


CUED = [
    pytest.param(value, id=name)
    for name, value in vars(anaphora).items()
    if isinstance(value, CuedPattern)
]


@pytest.mark.parametrize("cued", CUED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(st.data())
def test_whatever_a_cued_pattern_matches_has_a_cue(cued, data):
    text = data.draw(st.from_regex(cued.pattern))

    assert cued.may_match(text)
    assert cued.matches(text)


# --- No pattern may take exponential time. -----------------------------------------------------
#
# A repeat inside a repeat does if the text of one round can also be read as a part of another. It
# cannot where a round begins with a character that the inner repeat cannot take in at its end. The
# rest is polynomial, and texts have at most MAX_CHARS characters.

MODULES = (
    "anaphora",
    "boundaries",
    "decompose",
    "dependence",
    "masking",
    "qualifiers",
    "sentences",
)
VALUES = {
    f"{name}.{key}": value.pattern if isinstance(value, CuedPattern) else value
    for name in (*MODULES, "simplicity", "system_prompts", "wishes")
    for key, value in vars(importlib.import_module(f"octomil.routing.{name}")).items()
}
PATTERNS = [
    pytest.param(value, id=name) for name, value in VALUES.items() if isinstance(value, re.Pattern)
]
ALPHABET = [*string.printable, "\u2022", "\ue000", "\u201c", "\u00e9"]
REPEATS = (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT)
LOOKS = (opcodes.ASSERT, opcodes.ASSERT_NOT, opcodes.AT)


def characters(node, flags: int) -> set[str]:
    """The characters of the alphabet that a node for one character matches."""
    state = parser.State()
    state.flags = flags
    compiled = re._compiler.compile(parser.SubPattern(state, [node]), flags)
    return {c for c in ALPHABET if compiled.fullmatch(c)}


def first_characters(items, flags: int) -> tuple[set[str], bool]:
    """What a sequence can begin with, and whether it can be empty."""
    found: set[str] = set()
    for op, value in items:
        if op in LOOKS:
            continue
        here, empty = first_of(op, value, flags)
        found |= here
        if not empty:
            return found, False
    return found, True


def first_of(op, value, flags: int) -> tuple[set[str], bool]:
    if op in REPEATS:
        here, empty = first_characters(value[2], flags)
        return here, empty or value[0] == 0
    if op is opcodes.SUBPATTERN:
        return first_characters(value[3], (flags | value[1]) & ~value[2])
    if op is opcodes.BRANCH:
        ways = [first_characters(way, flags) for way in value[1]]
        return set().union(*(way for way, _ in ways)), any(empty for _, empty in ways)
    return characters((op, value), flags), False


def inner_repeats(items, flags: int):
    """Every unbounded repeat within a sequence, as the characters that its rounds begin with."""
    for op, value in items:
        if op in REPEATS:
            if value[1] is opcodes.MAXREPEAT:
                yield first_characters(value[2], flags)[0]
            yield from inner_repeats(value[2], flags)
        elif op is opcodes.SUBPATTERN:
            yield from inner_repeats(value[3], (flags | value[1]) & ~value[2])
        elif op is opcodes.BRANCH:
            for way in value[1]:
                yield from inner_repeats(way, flags)


def nested_repeats(items, flags: int):
    """Every unbounded repeat that holds another, as the two sets of characters."""
    for op, value in items:
        if op in REPEATS:
            inner = list(inner_repeats(value[2], flags))
            if value[1] is opcodes.MAXREPEAT:
                begins, empty = first_characters(value[2], flags)
                assert not empty, "a round may be empty"
                yield from ((begins, taken) for taken in inner)
            yield from nested_repeats(value[2], flags)
        elif op is opcodes.SUBPATTERN:
            yield from nested_repeats(value[3], (flags | value[1]) & ~value[2])
        elif op is opcodes.BRANCH:
            for way in value[1]:
                yield from nested_repeats(way, flags)
        elif op in (opcodes.ASSERT, opcodes.ASSERT_NOT):
            yield from nested_repeats(value[1], flags)


def check_repeats(pattern: re.Pattern[str]) -> None:
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    for begins, taken in nested_repeats(tree, tree.state.flags):
        assert begins.isdisjoint(taken)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_repeat_can_be_read_in_two_ways_by_the_one_around_it(pattern):
    check_repeats(pattern)


@pytest.mark.parametrize("hostile", [r"(a+)+", r"(\w+\s?)*", r"(a*)*", r"([a-z ]+,?)*x"])
def test_the_check_finds_what_is_exponential(hostile):
    with pytest.raises(AssertionError):
        check_repeats(re.compile(hostile))
