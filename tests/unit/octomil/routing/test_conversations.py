from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.errors import ConfigurationError
from octomil.routing.conversations import Conversations


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


FIRST = [user("Write a parser for TOML.")]
FOLLOW_UP = [*FIRST, assistant("class Parser: ..."), user("Shorter.")]


def test_follow_up_finds_who_answered_before():
    leaders = Conversations()
    leaders.remember(FIRST, "large")

    assert leaders.leader(FOLLOW_UP) == "large"


def test_who_took_over_leads_from_then_on():
    leaders = Conversations()
    leaders.remember(FIRST, "small")
    leaders.remember(FOLLOW_UP, "large")

    assert leaders.leader([*FOLLOW_UP, assistant("..."), user("And now?")]) == "large"


def test_an_answer_changed_by_the_client_is_still_that_conversation():
    leaders = Conversations()
    leaders.remember(FIRST, "large")

    assert leaders.leader([*FIRST, assistant("cut"), user("Go on.")]) == "large"


def test_results_of_tools_belong_to_the_answer_that_asked_for_them():
    leaders = Conversations()
    leaders.remember(FIRST, "large")
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}

    assert leaders.leader([*FIRST, call, {"role": "tool", "content": "4"}]) == "large"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        FIRST,
        [user("Something else."), assistant("..."), user("Shorter.")],
        [{"role": "system", "content": "Be terse."}, *FOLLOW_UP],
        [assistant("How can I help?"), *FIRST],
    ],
)
def test_another_conversation_has_no_leader(messages):
    leaders = Conversations()
    leaders.remember(FIRST, "large")

    assert leaders.leader(messages) is None


@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), st.text()), max_size=3),
       st.lists(st.tuples(st.sampled_from(["user", "system"]), st.text()), max_size=3))  # fmt: skip
def test_only_the_same_words_in_the_same_roles_are_the_same(said, other):
    said, other = (
        [{"role": role, "content": text} for role, text in turns] for turns in (said, other)
    )
    leaders = Conversations()
    leaders.remember(said, "large")

    found = leaders.leader([*other, assistant("..."), user("And?")])

    assert (found == "large") is (said == other and bool(other))


def test_contents_in_parts_are_told_apart():
    def ask(url):
        return [user([{"type": "image_url", "image_url": {"url": url}}])]

    leaders = Conversations()
    leaders.remember(ask("a"), "large")

    assert leaders.leader([*ask("a"), assistant("..."), user("And?")]) == "large"
    assert leaders.leader([*ask("b"), assistant("..."), user("And?")]) is None


def test_the_longest_unheard_of_is_forgotten():
    leaders = Conversations(max_entries=2)
    for text in ("one", "two", "one", "three"):
        leaders.remember([user(text)], text)

    known = [leaders.leader([user(t), assistant(""), user("")]) for t in ("one", "two", "three")]
    assert known == ["one", None, "three"]
    assert len(leaders) == 2


def test_no_memory_remembers_nothing():
    leaders = Conversations(max_entries=0)
    leaders.remember(FIRST, "large")

    assert len(leaders) == 0


def test_negative_size_is_refused():
    with pytest.raises(ConfigurationError, match="max_entries=-1"):
        Conversations(max_entries=-1)


def test_threads_may_share_it():
    leaders = Conversations(max_entries=50)

    def play(thread):
        for number in range(200):
            leaders.remember([user(f"{thread} {number % 60}")], f"model {thread}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(play, range(4)))

    assert len(leaders) == 50


LONG = "x" * 100_000
PICTURE = {"type": "image_url", "image_url": {"url": LONG}}


@pytest.mark.parametrize(
    "content",
    [LONG, [PICTURE], [{"type": "text", "text": "x"}] * 10_000, [[[[[[LONG]]]]]], {"a": {"b": 1}}],
)
def test_long_contents_are_told_apart_by_their_ends_and_their_length(content):
    leaders = Conversations()
    leaders.remember([user(content)], "large")

    assert leaders.leader([user(content), assistant("ok"), user("Go on.")]) == "large"
    for other in (LONG + "x", "y" + LONG[1:], LONG[:-1] + "y", [PICTURE, PICTURE], [], None):
        assert leaders.leader([user(other), assistant("ok"), user("Go on.")]) is None


def test_many_messages_are_told_apart_by_their_ends_and_their_number():
    turns = [user("x"), assistant("y")] * 10_000
    leaders = Conversations()
    leaders.remember([*turns, user("z")], "large")

    assert leaders.leader([*turns, user("z"), assistant("ok"), user("Go on.")]) == "large"
    assert leaders.leader([*turns[2:], user("z"), assistant("ok"), user("Go on.")]) is None
    assert leaders.leader([*turns, user("y"), assistant("ok"), user("Go on.")]) is None


class Unread(dict):
    """A message in the middle, which is not to be read."""

    def get(self, key, default=None):
        raise AssertionError("the whole of a long conversation would be read")


def test_of_a_long_conversation_the_middle_is_not_read():
    turns = [user("x")] * 100
    leaders = Conversations()

    leaders.remember([*turns, *[Unread()] * 1_000, *turns], "large")

    assert len(leaders) == 1
