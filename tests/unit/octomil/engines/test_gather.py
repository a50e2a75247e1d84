import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from octomil.engines.base import EventStream, Timing, Usage
from octomil.engines.gather import gather
from octomil.errors import GenerationError
from octomil.http.sse import encode_event

HEAD = {"id": "c1", "created": 7, "model": "m", "system_fingerprint": "f"}


def part(index: int = 0, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    return encode_event(json.dumps({**HEAD, "choices": list(choices), **more}).encode())


class Engine:
    """A stream of the given blocks, which knows whether it was closed."""

    def __init__(self, *blocks: bytes, usage: Usage | None = None) -> None:
        self._blocks = blocks
        self.closed = False
        self.stream = EventStream(self._events(), usage or Usage())

    async def _events(self) -> AsyncGenerator[bytes, None]:
        try:
            for block in self._blocks:
                yield block
        finally:
            self.closed = True


async def chat(*blocks: bytes, **more: Any) -> dict[str, Any]:
    completion = await gather("chat/completions", Engine(*blocks, **more).stream)
    return json.loads(completion.body)


async def message(*deltas: dict[str, Any]) -> dict[str, Any]:
    answer = await chat(*(chunk(part(**delta)) for delta in deltas))
    return answer["choices"][0]["message"]


async def test_words_become_one_message():
    usage = Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=1)

    answer = await chat(
        chunk(part(role="assistant", content="")),
        chunk(part(content="Hello")) + chunk(part(content=" sea")),
        chunk(part(finish="stop")),
        usage=usage,
    )

    assert answer == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello sea"},
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1},
        },
    }


async def test_texts_become_one_completion():
    pieces = [{"index": 0, "text": "Once", "finish_reason": None}, {"index": 0, "text": " upon"}]
    pieces.append({"index": 0, "text": "", "finish_reason": "length"})

    completion = await gather("completions", Engine(*map(chunk, pieces)).stream)

    answer = json.loads(completion.body)
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [
        {"index": 0, "logprobs": None, "finish_reason": "length", "text": "Once upon"}
    ]


async def test_choices_that_come_mixed_are_told_apart_and_sorted():
    answer = await chat(
        chunk(part(1, content="b")),
        chunk(part(0, content="a"), part(1, content="B")),
        chunk(part(0, finish="stop"), part(1, finish="length")),
    )

    told = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in answer["choices"]]
    assert told == [(0, "a", "stop"), (1, "bB", "length")]


async def test_tool_calls_are_put_together_from_their_pieces():
    def call(index: int, call_id: str | None = None, **function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "id": call_id, "function": function}]}

    told = await message(
        call(1, "c2", name="late", arguments=""),
        call(0, "c1", name="look", arguments='{"pla'),
        call(0, arguments='ce": "sea"}'),
        call(1, arguments="{}"),
    )

    assert told["content"] is None
    assert told["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "look", "arguments": '{"place": "sea"}'},
        },
        {"id": "c2", "type": "function", "function": {"name": "late", "arguments": "{}"}},
    ]


async def test_tool_call_of_a_huge_number_costs_no_memory():
    call = {"index": 10**12, "id": "c", "function": {"name": "f", "arguments": "{}"}}

    told = await message({"tool_calls": [call]})

    assert [call["id"] for call in told["tool_calls"]] == ["c"]


async def test_words_beside_a_tool_call_are_kept():
    told = await message({"content": "Let me look."}, {"tool_calls": [{"index": 0, "id": "c"}]})

    assert told["content"] == "Let me look."


@pytest.mark.parametrize("field", ["reasoning_content", "refusal"])
async def test_what_is_said_beside_the_content_is_kept(field):
    told = await message({field: "well"}, {field: ", no"}, {"content": "No."})

    assert (told[field], told["content"]) == ("well, no", "No.")


async def test_log_probabilities_are_strung_together():
    def heard(token: str) -> dict[str, Any]:
        told = {"content": [{"token": token}], "refusal": None}
        return {"index": 0, "delta": {}, "logprobs": told}

    silent = {"index": 0, "delta": {}, "logprobs": {"content": None, "refusal": None}}

    answer = await chat(chunk(heard("a")), chunk(silent), chunk(heard("b")), chunk(part()))

    told = answer["choices"][0]["logprobs"]
    assert told == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


async def test_answer_without_a_word_is_an_empty_one():
    assert (await message({}))["content"] == ""


async def test_chunks_without_choices_are_passed_over():
    answer = await chat(chunk(part(content="a")), chunk(usage={}), b": ping\n\n")

    assert answer["choices"][0]["message"]["content"] == "a"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"{",
        b"[]",
        b"5",
        b'{"choices": 5}',
        b'{"choices": ["a"]}',
        b'{"choices": [{"index": [1]}]}',
        b'{"choices": [{"index": 0, "delta": {"content": 5}}]}',
        b'{"choices": [{"index": 0}, {"index": "one"}]}',
        b'{"choices": [{"index": 0, "delta": {"tool_calls": [5]}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": "\xff"}}]}',
    ],
)
async def test_chunk_that_makes_no_sense_is_the_engine_s_fault(nonsense):
    engine = Engine(chunk(part(content="a")), encode_event(nonsense), chunk(part(content="b")))

    with pytest.raises(GenerationError, match="senseless chunk"):
        await gather("chat/completions", engine.stream)

    assert engine.closed


async def test_stream_without_a_chunk_is_no_answer():
    with pytest.raises(GenerationError, match="the engine sent an empty answer"):
        await chat(b": ping\n\n")


async def test_lists_beside_the_message_are_strung_together():
    answer = await chat(
        chunk({**part(content="a"), "token_ids": [5]}),
        chunk({**part(content="b", finish="stop"), "token_ids": [6]}),
    )

    assert answer["choices"][0]["token_ids"] == [5, 6]


async def test_objects_of_log_probabilities_that_hold_nothing_are_kept_as_such():
    answer = await chat(chunk({**part(content="a"), "logprobs": {"content": None}}), chunk(part()))

    assert answer["choices"][0]["logprobs"] == {"content": None}


async def test_message_nested_beyond_reason_is_the_engine_s_fault():
    deep = json.loads('{"a":' * 500 + "1" + "}" * 500)

    with pytest.raises(GenerationError, match="senseless chunk"):
        await chat(*(chunk(part(content="a", deep=deep)) for _ in range(2)))


async def test_moments_of_the_first_and_the_newest_tokens_are_noted_as_they_come():
    usage, timing = Usage(), Timing()
    noted: list[tuple[float | None, float | None]] = []

    async def events() -> AsyncGenerator[bytes, None]:
        for number in (3, 4, 5):
            usage.completion_tokens = number
            yield chunk(part(content="word"))
            noted.append((timing.first_at, timing.last_at))

    await gather("chat/completions", EventStream(events(), usage), timing)

    firsts, lasts = zip(*noted, strict=True)
    assert set(firsts) == {timing.first_at} != {None}
    assert list(lasts) == sorted(lasts)
    assert (timing.last_at, timing.first_tokens) == (lasts[-1], 3)


async def test_stream_that_breaks_off_at_once_has_no_moments():
    async def events() -> AsyncGenerator[bytes, None]:
        raise GenerationError("broken")
        yield b""

    timing = Timing()
    with pytest.raises(GenerationError, match="broken"):
        await gather("chat/completions", EventStream(events()), timing)

    assert timing == Timing()
