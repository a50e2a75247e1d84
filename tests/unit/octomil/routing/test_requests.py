import pytest

from octomil.routing.requests import (
    answers_within,
    may_split,
    messages_of,
    needs_of,
    takes_plain_text,
)

CHAT = "chat/completions"
HELLO = [{"role": "user", "content": "Hello!"}]
IMAGE = [{"role": "user", "content": [{"type": "image_url"}]}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hello!"}]}]


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ({}, ("chat",)),
        ({"messages": PARTS}, ("chat",)),
        ({"messages": IMAGE}, ("chat", "media")),
        ({"logprobs": True}, ("chat", "logprobs")),
        ({"logprobs": False}, ("chat",)),
        ({"tools": [{}]}, ("chat", "tools")),
        ({"tools": []}, ("chat",)),
        ({"tools": [{}], "tool_choice": "none"}, ("chat",)),
        ({"response_format": {"type": "json_object"}}, ("chat", "structured_output")),
        ({"response_format": {"type": "text"}}, ("chat",)),
        ({"response_format": None}, ("chat",)),
    ],
)
def test_a_conversation_needs_what_it_asks_for(body, needs):
    assert needs_of(CHAT, {"messages": HELLO, **body}) == needs


def test_a_text_to_complete_needs_a_model_that_completes():
    assert needs_of("completions", {"prompt": "Once"}) == ("completions",)
    assert needs_of("completions", {"prompt": "Once", "logprobs": 1}) == ("completions", "logprobs")


@pytest.mark.parametrize(
    ("needs", "n", "is_plain"),
    [
        (("chat",), None, True),
        (("chat",), 1, True),
        (("chat",), 2, False),
        (("chat", "tools"), 1, False),
        (("completions",), 1, False),
    ],
)
def test_only_one_answer_in_plain_words_can_be_anyones(needs, n, is_plain):
    assert takes_plain_text(needs, {"n": n}) is is_plain


@pytest.mark.parametrize(
    ("body", "may"),
    [
        ({}, True),
        ({"stop": "END"}, False),
        ({"stop": []}, True),
        ({"stop": None, "max_tokens": 15}, True),
    ],
)
def test_a_stop_text_keeps_an_answer_whole(body, may):
    assert may_split(body) is may


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": 1}, 1),
        ({"max_tokens": 60}, 1),
        ({"max_tokens": 64}, 2),
        ({"max_completion_tokens": 100}, 3),
        ({"max_tokens": 500, "max_completion_tokens": 64}, 2),
    ],
)
def test_a_limit_is_shared_by_as_many_answers_as_it_leaves_two_sentences(body, answers):
    assert answers_within(body) == answers


@pytest.mark.parametrize(
    ("wish", "is_plain"),
    [
        ({"stop": ["."]}, False),
        ({"stop": "\n"}, False),
        ({"stop": []}, True),
        ({"functions": [{"name": "add"}]}, False),
        ({"functions": [{"name": "add"}], "function_call": {"name": "add"}}, False),
        ({"functions": [{"name": "add"}], "function_call": "none"}, True),
        ({"functions": [], "function_call": "auto"}, True),
    ],
)
def test_a_stop_text_or_a_function_to_call_asks_for_more_than_any_text(wish, is_plain):
    assert takes_plain_text(("chat",), wish) is is_plain


def test_texts_to_complete_are_one_message():
    assert messages_of("completions", {"prompt": "Once"})[0]["content"] == "Once"
    assert messages_of("completions", {"prompt": ["a", "b"]})[0]["content"] == "a\nb"
    assert messages_of(CHAT, {"messages": HELLO}) is HELLO
