"""Whatever a message holds, told in whatever pieces, is put together as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.engines.deltas import add, settled

NAMES = st.sampled_from(["content", "reasoning", "audio", "x", "id", "role"])
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
OBJECTS = st.recursive(
    st.dictionaries(NAMES, PLAIN, max_size=4),
    lambda inner: st.dictionaries(NAMES, PLAIN | inner | st.lists(PLAIN, max_size=3), max_size=4),
    max_leaves=8,
)


def put_together(*deltas: dict[str, Any]) -> Any:
    message: dict[str, Any] = {}
    for delta in deltas:
        add(message, delta)
    return settled(message)


@given(OBJECTS)
def test_message_told_at_once_is_itself(message):
    assert put_together(message) == message


@given(st.lists(st.text(max_size=5), min_size=1), NAMES.filter(lambda n: n not in ("id", "role")))
def test_text_is_strung_together(pieces, name):
    assert put_together(*({name: piece} for piece in pieces)) == {name: "".join(pieces)}


@given(OBJECTS, OBJECTS)
def test_fields_told_apart_are_all_there(one, other):
    assert put_together({"one": one}, {"other": other}) == {"one": one, "other": other}


@pytest.mark.parametrize("name", ["id", "role", "type"])
def test_what_something_is_may_be_told_again(name):
    assert put_together({name: "a"}, {name: "a"}, {name: None}) == {name: "a"}


def test_numbered_entries_are_put_together_and_sorted_before_the_others():
    told = put_together(
        {"steps": [{"index": 2, "text": "c"}, {"text": "last"}]},
        {"steps": [{"index": 0, "text": "a"}, {"index": 2, "text": "C", "signature": 7}]},
    )

    assert told == {
        "steps": [
            {"index": 0, "text": "a"},
            {"index": 2, "text": "cC", "signature": 7},
            {"text": "last"},
        ]
    }


@pytest.mark.parametrize("later", ["a", 5, True, {"b": 1}, [1]])
@pytest.mark.parametrize("first", ["a", {"b": 1}, [1]])
def test_field_that_changes_its_kind_makes_no_sense(first, later):
    if type(first) is type(later):
        put_together({"x": first}, {"x": later})
        return
    with pytest.raises(TypeError, match="`x`"):
        put_together({"x": first}, {"x": later})
