"""Nothing beyond the cap is ever spent, because no tokenizer makes more of a request than this."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from octomil.routing.requests import messages_of
from octomil.serve.token_estimates import (
    ASSUMED_ANSWER_TOKENS,
    context_tokens,
    likely_prompt_tokens,
    most_answer_tokens,
    most_prompt_tokens,
)

ROLES = st.sampled_from(["system", "user", "assistant"])
TEXTS = st.text(max_size=40) | st.text('aé中ﷺ\U0001d160 \n"\\', max_size=20)
CONTENTS = TEXTS | st.lists(st.builds(lambda t: {"type": "text", "text": t}, TEXTS), max_size=3)
MESSAGES = st.lists(
    st.builds(lambda role, content: {"role": role, "content": content}, ROLES, CONTENTS),
    min_size=1,
    max_size=4,
)
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TOOLS = st.lists(
    st.builds(
        lambda name, schema: {"type": "function", "function": {"name": name, "parameters": schema}},
        TEXTS,
        SCHEMAS,
    ),
    max_size=3,
)
CHATS = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={
        "tools": TOOLS,
        "functions": TOOLS,
        "response_format": st.builds(lambda s: {"type": "json_schema", "json_schema": s}, SCHEMAS),
        "user": TEXTS,
    },
)


def rendered(body: dict[str, Any], *, escaped: bool) -> str:
    """The prompt that a wordy template makes of a conversation: its JSON is indented."""
    tools = [body[name] for name in ("tools", "functions", "response_format") if body.get(name)]
    text = "".join(json.dumps(tool, indent=4, ensure_ascii=escaped) for tool in tools)
    for message in body["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [part["text"] for part in content]
        text += f"<|start|>{message['role']}<|end|>{''.join(parts)}<|eot|>"
    return text


def most_tokens(text: str) -> int:
    """What the worst tokenizer makes of it: a token a byte, in the longest form of Unicode.

    Marks and runs of spaces are one token, as in every vocabulary that was trained on text.
    """
    for mark in ("<|start|>", "<|end|>", "<|eot|>"):
        text = text.replace(mark, "\0")
    lines = [line.lstrip(" ") for line in text.split("\n")]
    text = "\n ".join(lines)
    return max(
        len(unicodedata.normalize(form, text).encode()) for form in ("NFC", "NFD", "NFKC", "NFKD")
    )


@settings(max_examples=300, deadline=None)
@example({"messages": [{"role": "user", "content": "ﷺ" * 50}]}, True)
@example({"messages": [{"role": "user", "content": ""}], "tools": [[[[[]]]]] * 9}, False)
@given(CHATS, st.booleans())
def test_no_tokenizer_makes_more_of_a_conversation(body, escaped):
    assert most_tokens(rendered(body, escaped=escaped)) <= most_prompt_tokens(body)


def test_a_long_text_is_not_normalised_to_be_measured():
    text = "ﷺ" * 400_000

    assert most_prompt_tokens({"prompt": text}) >= len(unicodedata.normalize("NFKD", text).encode())


def test_a_picture_counts_as_the_dearest_one_known():
    picture = {"type": "image_url", "image_url": {"url": "https://tides.example/low.png"}}
    body = {"messages": [{"role": "user", "content": [picture, picture]}]}

    assert most_prompt_tokens(body) > 2 * (2833 + 8 * 5667)


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({}, ASSUMED_ANSWER_TOKENS),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "n": 3}, 15),
        ({"max_tokens": 5, "n": 2, "best_of": 4}, 20),
        ({"max_tokens": 5, "best_of": "4"}, 20),
        ({"max_tokens": 5, "best_of": "all"}, 5),
        ({"max_tokens": 5, "best_of": None, "n": None}, 5),
        ({"max_tokens": 5, "prompt": ["a", "b", "c"]}, 15),
        ({"max_tokens": 5, "prompt": ["a", "b"], "n": 2}, 20),
        ({"prompt": "abc", "max_tokens": 5}, 5),
        ({"input": ["a", "b"]}, 0),
    ],
)
def test_every_answer_that_may_come_counts(more, tokens):
    assert most_answer_tokens(more) == tokens


def needed(**body: Any) -> float:
    return context_tokens(body, messages_of("chat/completions", body))


def test_a_context_must_hold_the_prompt_and_the_answer():
    asked = [{"role": "user", "content": "x" * 300}]

    assert needed(messages=asked) == 100
    assert needed(messages=asked, max_tokens=50) == 150
    assert needed(messages=asked, tools=[{"name": "y" * 300}]) > 200
    parts = [{"type": "text", "text": "x" * 300}, {"type": "image_url", "image_url": {}}]
    assert needed(messages=[{"role": "user", "content": parts}]) == 1100
    called = [{"role": "assistant", "tool_calls": [{"arguments": "z" * 300}]}]
    assert needed(messages=called) > 100


@pytest.mark.parametrize(("letter", "fewest"), [("x", 100), ("ж", 300), ("中", 600)])
def test_other_scripts_take_more_of_a_context(letter, fewest):
    assert needed(messages=[{"role": "user", "content": letter * 300}]) >= fewest


def test_a_prompt_nobody_counted_has_about_four_characters_a_token():
    body = {"messages": [{"role": "user", "content": "word " * 800}], "temperature": 0.5}

    assert 1000 <= likely_prompt_tokens(body) <= 1020
    assert likely_prompt_tokens(body | {"tools": [{"name": "x" * 400}]}) >= 1100
    assert likely_prompt_tokens({"prompt": "中" * 400}) >= 400
    assert likely_prompt_tokens({}) <= 2
