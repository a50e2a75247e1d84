import pytest

from octomil.routing.sentences import (
    find_items,
    is_announcement,
    is_courtesy,
    is_local_remark,
    is_remark,
    skip_announcement,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("  ", []),
        ("One.", ["One."]),
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("one; two\nthree", ["one", "two", "three"]),
        ("one\n\n  two", ["one", "two"]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("3.5 is more than 3.4", ["3.5 is more than 3.4"]),
        ("Ask Dr. Smith", ["Ask Dr. Smith"]),
        ("fruit, e.g. pears", ["fruit, e.g. pears"]),
        ("in Washington, D.C. Who lives there?", ["in Washington, D.C. Who lives there?"]),
        ("convert 20 F to C. Write a poem", ["convert 20 F to C.", "Write a poem"]),
    ],
)
def test_sentences_end_at_marks_semicolons_and_line_breaks(text, sentences):
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. one\n2. two", ["one\n"[:-1], "two"]),
        ("- one\n- two\n- three", ["one", "two", "three"]),
        ("1) one 2) two", ["one ", "two"]),
        ("(1) one (2) two", ["one ", "two"]),
        ("Please do the following tasks:\n* one\n* two", ["one", "two"]),
        ("My list is here:\n* one\n* two", []),
        ("1. one\n3. two", []),
        ("just 1. one", None),
        ("no list", None),
    ],
)
def test_list_counts_if_it_is_the_whole_text(text, items):
    found = find_items(text)

    assert (found if found is None else [text[start:end] for start, end in found]) == items


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Hello!", True),
        ("Thanks so much.", True),
        ("Good morning, hi there", True),
        ("Hello world", False),
        ("Thank the author", False),
    ],
)
def test_courtesy_asks_for_nothing(sentence, expected):
    assert is_courtesy(sentence) is expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I have two questions.", True),
        ("Please answer the following questions:", True),
        ("Hi! Here are my tasks:", True),
        ("todo:", True),
        ("Answer the question about tides:", False),
        ("I have two cats.", False),
    ],
)
def test_announcement_says_that_tasks_follow(sentence, expected):
    assert is_announcement(sentence) is expected


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [
        ("I need two things: explain tides", "explain tides"),
        ("Hey, I have three tasks: explain tides", "explain tides"),
        ("explain two things: tides and waves", "tides and waves"),
        ("explain tides", "explain tides"),
    ],
)
def test_announcement_before_a_task_is_skipped(sentence, rest):
    assert sentence[skip_announcement(sentence, 0, len(sentence)) :] == rest


@pytest.mark.parametrize(
    ("sentence", "remark", "local"),
    [
        ("Keep it under 50 words.", True, False),
        ("Make it rhyme.", True, True),
        ("Please use a formal tone.", True, False),
        ("Express your answer as a decimal.", True, False),
        ("No emojis.", True, False),
        ("Write a poem.", False, False),
        ("Explain tides.", False, False),
    ],
)
def test_remark_says_how_and_not_what(sentence, remark, local):
    assert (is_remark(sentence), is_local_remark(sentence)) == (remark, local)
