import json

import pytest

from octomil.engines.llama_cpp.legacy_logprobs import (
    LegacyForm,
    in_legacy_form,
    legacy_logprobs,
    without_alternatives,
)
from octomil.http.sse import encode_event, event_data


def entry(token, logprob, *others, raw=None):
    """One token as llama.cpp reports it; `others` are its alternatives, itself included or not."""
    return {
        "token": token,
        "bytes": list(raw if raw is not None else token.encode()),
        "logprob": logprob,
        "top_logprobs": [entry(text, value) for text, value in others],
    }


CONTENT = [
    entry(" the", -1.5, (" the", -1.5), (" a", -1.9)),
    entry(" scène", -3.0, (" night", -2.5), (" day", -2.9)),
]


async def passed(transform, *chunks):
    async def feed():
        for chunk in chunks:
            yield encode_event(json.dumps(chunk).encode())

    return [json.loads(data) async for block in transform(feed()) for data in event_data(block)]


def text_chunk(text, index=0, content=None, finish=None):
    logprobs = None if content is None else {"content": content}
    choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
    return {"id": "x", "choices": [choice]}


def test_lists_run_in_parallel_and_offsets_count_from_the_prompts_start():
    legacy = legacy_logprobs(CONTENT, 9, 2)

    assert legacy["tokens"] == [" the", " scène"]
    assert legacy["token_logprobs"] == [-1.5, -3.0]
    assert legacy["text_offset"] == [9, 13]


def test_chosen_token_is_always_among_the_alternatives():
    legacy = legacy_logprobs(CONTENT, 0, 2)

    assert legacy["top_logprobs"] == [
        {" the": -1.5, " a": -1.9},
        {" night": -2.5, " day": -2.9, " scène": -3.0},
    ]


def test_no_more_alternatives_come_than_were_asked_for():
    assert legacy_logprobs(CONTENT, 0, 1)["top_logprobs"][0] == {" the": -1.5}
    assert legacy_logprobs(CONTENT, 0, 0)["top_logprobs"] is None


def test_part_of_a_character_is_shown_as_bytes_and_takes_no_room():
    content = [entry("\ufffd", -1.0, raw=b"\xf0\x9f"), entry("a", -2.0)]

    legacy = legacy_logprobs(content, 5, 1)

    assert legacy["tokens"] == ["bytes:\\xf0\\x9f", "a"]
    assert legacy["text_offset"] == [5, 5]


def test_token_without_bytes_is_shown_by_its_text():
    assert legacy_logprobs([entry("<s>", -1.0, raw=b"")], 0, 0)["tokens"] == ["<s>"]


async def test_offsets_go_on_from_chunk_to_chunk_for_each_choice():
    form = LegacyForm(prompts=["Once", "The sky"], alternatives=2)

    chunks = await passed(
        lambda events: in_legacy_form(events, form),
        text_chunk(" the", 0, CONTENT[:1]),
        text_chunk(" the", 1, CONTENT[:1]),
        text_chunk(" scène", 0, CONTENT[1:]),
        text_chunk("", 0, finish="length"),
    )

    found = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert [logprobs and logprobs["text_offset"] for logprobs in found] == [[4], [7], [8], None]


async def test_echo_starts_every_choice_with_its_own_prompt_once():
    form = LegacyForm(prompts=["A", "B"], per_prompt=2, echo=True)

    chunks = await passed(
        lambda events: in_legacy_form(events, form),
        *(text_chunk("x", index) for index in (3, 0, 2, 1, 0)),
        text_chunk("", 3, finish="stop"),
    )

    said = [(c["choices"][0]["index"], c["choices"][0]["text"]) for c in chunks]
    assert said == [(3, "Bx"), (0, "Ax"), (2, "Bx"), (1, "Ax"), (0, "x"), (3, "")]


async def test_chunk_without_choices_passes():
    usage = {"choices": [], "usage": {"total_tokens": 1}}

    form = LegacyForm(prompts=["A"], echo=True)

    assert await passed(lambda events: in_legacy_form(events, form), usage) == [usage]


@pytest.mark.parametrize("logprobs", [None, {"content": None}])
async def test_chat_chunk_without_log_probabilities_passes(logprobs):
    chunk = {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": logprobs}]}

    assert await passed(without_alternatives, chunk) == [chunk]


async def test_alternatives_nobody_asked_for_are_taken_out():
    chunk = {"choices": [{"index": 0, "delta": {}, "logprobs": {"content": CONTENT}}]}

    (seen,) = await passed(without_alternatives, chunk)

    entries = seen["choices"][0]["logprobs"]["content"]
    assert [(e["token"], e["top_logprobs"]) for e in entries] == [(" the", []), (" scène", [])]
