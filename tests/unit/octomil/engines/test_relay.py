"""The relay under every way a server may write, and a network may cut, the same stream."""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.engines.base import Usage
from octomil.engines.relay import EventRelay, error_from, read_answer
from octomil.errors import (
    ContextLengthError,
    EngineError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)
from octomil.http.sse import event_data

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
SAID = st.text() | st.sampled_from(
    ["[DONE]", '"usage":{', '"error": {', '"finish_reason":"', '"prompt_progress"', "data: \n\n"]
)


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def counted(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


@dataclass(frozen=True)
class Writer:
    """How a server writes its events."""

    compact: bool = False
    ascii_only: bool = False
    crlf: bool = False
    null_usage: bool = False
    comments: bool = False

    def event(self, data: dict[str, Any] | bytes) -> bytes:
        if isinstance(data, dict):
            if self.null_usage:
                data = {"usage": None, **data}
            separators = (",", ":") if self.compact else (", ", ": ")
            data = json.dumps(data, separators=separators, ensure_ascii=self.ascii_only).encode()
        written = b"data: " + data + b"\n\n"
        if self.comments:
            written = b": keep-alive\n\n" + written
        return written.replace(b"\n", b"\r\n") if self.crlf else written

    def stream(self, *events: dict[str, Any] | bytes) -> bytes:
        return b"".join(map(self.event, events))


writers = st.builds(
    Writer,
    compact=st.booleans(),
    ascii_only=st.booleans(),
    crlf=st.booleans(),
    null_usage=st.booleans(),
    comments=st.booleans(),
)
places = st.lists(st.integers(0, 5000), max_size=12)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def relay(
    pieces: list[bytes], *, wants_usage: bool = False, choices_per_prompt: int | None = None
) -> tuple[list[dict[str, Any]], Usage]:
    """What the client reads, and what was used."""
    usage = Usage()
    relay = EventRelay("m", usage, wants_usage=wants_usage, choices_per_prompt=choices_per_prompt)
    blocks = [relay.feed(piece) for piece in pieces]
    blocks.append(relay.finish())
    return read(blocks), usage


def read(blocks: list[bytes]) -> list[dict[str, Any]]:
    assert all(block.endswith((b"\n\n", b"\r\n\r\n")) for block in blocks if block)
    return [json.loads(data) for data in event_data(b"".join(blocks))]


def without_usage(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "usage"}


@settings(deadline=None)
@given(said=st.lists(SAID, max_size=6), writer=writers, at=places, wants_usage=st.booleans())
def test_client_reads_the_same_events_however_they_are_written_and_cut(
    said, writer, at, wants_usage
):
    events = [*map(chunk, said), chunk(finish="length")]
    ending = [{**HEAD, "choices": [], "usage": counted(11, len(said))}, b"[DONE]"]
    stream = writer.stream(*events, *ending)

    got, usage = relay(cut(stream, at), wants_usage=wants_usage)

    assert [without_usage(event) for event in got[: len(events)]] == events
    told = [event["usage"] for event in got if event.get("usage")]
    assert len(got) - len(events) == len(told) == wants_usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, len(said))
    assert usage.finish_reason == "length"


@settings(deadline=None)
@given(writer=writers, at=places)
def test_usage_that_comes_with_the_last_choice_is_taken_out_of_it(writer, at):
    stream = writer.stream(chunk("a"), chunk(finish="stop", usage=counted(1, 2)), b"[DONE]")

    plain, usage = relay(cut(stream, at))
    asked, _ = relay(cut(stream, at), wants_usage=True)

    assert [event.get("usage") for event in plain] == [None, None]
    assert plain[1]["choices"][0]["finish_reason"] == "stop"
    assert [bool(event.get("usage")) for event in asked] == [False, False, True]
    assert (usage.prompt_tokens, usage.completion_tokens) == (1, 2)


def test_usage_chunk_has_openai_s_form_and_the_stream_s_own_head():
    details = {**counted(5, 1), "prompt_tokens_details": {"cached_tokens": 4}}
    ending = {**HEAD, "choices": [], "usage": details}
    stream = Writer().stream(chunk("a", "stop"), ending, b"[DONE]")

    (_, last), usage = relay([stream], wants_usage=True)

    assert last == {
        **HEAD,
        "choices": [],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 1,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }
    assert usage.cached_tokens == 4


def test_usage_in_every_chunk_counts_once():
    running = [chunk("a", usage=counted(3, i)) for i in (1, 2, 3)]
    stream = Writer().stream(*running, chunk(finish="stop", usage=counted(3, 3)), b"[DONE]")

    events, usage = relay([stream], wants_usage=True)

    assert [bool(event.get("usage")) for event in events] == [False] * 4 + [True]
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 3)


def test_usage_told_choice_by_choice_adds_up():
    stream = Writer().stream(
        chunk(finish="stop", usage=counted(3, 4)),
        chunk(finish="stop", usage=counted(3, 6)),
        b"[DONE]",
    )

    (*_, last), usage = relay([stream], wants_usage=True, choices_per_prompt=2)

    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 10)
    assert last["usage"]["total_tokens"] == 13


def test_each_of_several_prompts_counts_once_however_many_choices_it_has():
    cached = {**counted(4, 2), "prompt_tokens_details": {"cached_tokens": 1}}
    said = [(1, cached), (3, counted(3, 5)), (2, counted(3, 7)), (0, cached)]
    choices = [
        {**HEAD, "choices": [{"index": i, "text": "", "finish_reason": "stop"}], "usage": usage}
        for i, usage in said
    ]

    (*_, last), usage = relay(
        [Writer().stream(*choices, b"[DONE]")], wants_usage=True, choices_per_prompt=2
    )

    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (7, 16, 1)
    assert last["usage"]["total_tokens"] == 23


def test_what_is_said_is_counted_where_the_server_never_tells_its_usage():
    events, usage = relay([Writer().stream(chunk("a"), chunk(finish="stop"), b"[DONE]")])

    assert len(events) == 2
    assert usage == Usage(completion_tokens=1, finish_reason="stop")


@given(
    said=st.lists(SAID | st.just('"content":"x","text": "y"'), max_size=6),
    writer=writers,
    at=places,
)
def test_stream_that_is_cut_short_has_counted_every_word(said, writer, at):
    usage = Usage()
    feed = EventRelay("m", usage, wants_usage=False).feed
    role = {**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    for piece in cut(writer.stream(role, *map(chunk, said)), at):
        feed(piece)

    assert usage.completion_tokens == sum(text != "" for text in said)


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
    ],
)
def test_every_kind_of_word_counts(delta):
    usage = Usage()
    data = {**HEAD, "choices": [{"index": 0, "delta": delta}]}
    EventRelay("m", usage, wants_usage=False).feed(Writer().stream(data))

    assert usage.completion_tokens == 1


def test_progress_of_the_prompt_is_not_for_the_client():
    progress = {**chunk(), "prompt_progress": {"total": 9, "processed": 3}}

    events, _ = relay([Writer().stream(progress, chunk("a", "stop"), b"[DONE]")])

    assert events == [chunk("a", "stop")]


def test_data_over_several_lines_stays_one_event():
    stream = b'data: {"choices": [],\ndata: "usage": {"prompt_tokens": 2}, "x": 1}\n\n'

    events, usage = relay([stream, Writer().stream(chunk("a", "stop"), b"[DONE]")])

    assert events == [chunk("a", "stop")]
    assert usage.prompt_tokens == 2


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n", b"data: [DONE]"])
def test_stream_is_whole_once_it_gave_its_reason_to_finish(end):
    events, _ = relay([Writer().stream(chunk("a", "stop")) + end])

    assert events == [chunk("a", "stop")]


@settings(deadline=None)
@given(writer=writers, at=places, length=st.integers(0, 10_000))
def test_stream_that_breaks_off_anywhere_is_never_taken_for_an_answer(writer, at, length):
    whole = writer.stream(chunk("a"), chunk("b"), chunk(finish="stop"))
    broken = whole[: length % (len(whole) - 1)]

    with pytest.raises(GenerationError, match="the stream of model 'm' broke off before its end"):
        relay(cut(broken, at))


@settings(deadline=None)
@given(
    writer=writers,
    at=places,
    error=st.sampled_from(
        [
            {"message": "lost it", "type": "server_error"},
            {"message": "lost it", "code": 500},
            "lost it",
        ]
    ),
)
def test_error_inside_the_stream_is_raised_however_it_is_cut(writer, at, error):
    stream = writer.stream(chunk("a"), chunk("b"), {"error": error}, b"[DONE]")
    relay = EventRelay("m", Usage(), wants_usage=False)
    blocks = []

    with pytest.raises(GenerationError, match="lost it"):  # noqa: PT012 - it may come at any piece
        blocks.extend(relay.feed(piece) for piece in cut(stream, at))
        relay.finish()

    events = [without_usage(event) for event in read(blocks)]
    assert events == [chunk("a"), chunk("b")][: len(events)]


def test_busy_server_says_so_also_inside_the_stream():
    relay = EventRelay("m", Usage(), wants_usage=False)

    with pytest.raises(EngineUnavailableError, match="is busy: slow down"):
        relay.feed(Writer().event({"error": {"message": "slow down", "code": 429}}))


def test_error_that_is_null_is_none():
    events, _ = relay([Writer().stream({**chunk("a", "stop"), "error": None}, b"[DONE]")])

    assert [event["choices"] for event in events] == [chunk("a", "stop")["choices"]]


@pytest.mark.parametrize(
    "nonsense",
    [
        b'{"usage": {"prompt_tokens": "many"}}',
        b'{"usage": {',
        b'["finish_reason": "stop"]',
        b'["error"]["error":]',
        b'{"choices": 5, "usage": {}}',
        b'{"choices": [{"finish_reason": "\xff"}]}',
    ],
)
def test_event_that_makes_no_sense_is_the_server_s_fault(nonsense):
    relay = EventRelay("m", Usage(), wants_usage=False)

    with pytest.raises(GenerationError, match="model 'm' answered what makes no sense"):
        relay.feed(Writer().event(nonsense))


def test_text_events_pass_untouched():
    relay = EventRelay("m", Usage(), wants_usage=False)
    stream = b'event: message\nid: 4\ndata:{"choices":[{"delta":{"content":"a"}}]}\n\n'

    assert relay.feed(stream) == stream


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"message": "bad n", "param": "n"}, InvalidRequestError, "bad n"),
        (422, {"message": "bad n"}, InvalidRequestError, "bad n"),
        (401, {"message": "who?"}, EngineUnavailableError, "refuses our key: who?"),
        (403, {"message": "you!"}, EngineUnavailableError, "refuses our key: you!"),
        (404, {"message": "gone"}, EngineUnavailableError, "has no model 'm': gone"),
        (429, {"message": "later"}, EngineUnavailableError, "is busy: later"),
        (503, {"message": "later"}, EngineUnavailableError, "is busy: later"),
        (500, {"message": "oops"}, GenerationError, "failed with status 500: oops"),
        (418, "teapot", InvalidRequestError, "teapot"),
    ],
)
def test_refusal_of_a_server_becomes_the_error_that_fits(status, body, kind, message):
    error = error_from(status, json.dumps({"error": body}).encode(), "m")

    assert isinstance(error, kind)
    assert message in str(error)


@pytest.mark.parametrize("code", ["context_length_exceeded", "exceed_context_size_error"])
@pytest.mark.parametrize("field", ["code", "type"])
def test_prompt_that_is_too_long_is_told_by_its_own_error(code, field):
    body = json.dumps({"error": {"message": "too long", field: code}}).encode()

    error = error_from(400, body, "m")

    assert isinstance(error, ContextLengthError)
    assert (error.param, error.code) == ("messages", "context_length_exceeded")


def test_refusal_keeps_what_the_server_said_about_it():
    body = json.dumps({"error": {"message": "m", "param": "top_p", "code": "bad_top_p"}}).encode()

    error = error_from(422, body, "m")

    assert isinstance(error, InvalidRequestError)
    assert (error.param, error.code, error.status) == ("top_p", "bad_top_p", 422)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
        (b"", "no reason given"),
        (b"[1, 2]", "[1, 2]"),
        (b'{"error": {}}', "no reason given"),
        (b'{"error": {"message": 5, "code": 7, "param": 8}}', "5"),
    ],
)
def test_refusal_in_no_known_form_is_shown_as_it_came(body, shown):
    assert str(error_from(502, body, "m")) == f"model 'm' failed with status 502: {shown}"


def test_wish_to_wait_is_kept():
    assert error_from(429, b"", "m", retry_after_s=7.5).retry_after_s == 7.5
    assert error_from(503, b"", "m").retry_after_s == 1.0


def test_whole_answer_tells_what_it_used():
    answer = {
        "choices": [{"index": 0, "message": {}, "finish_reason": "tool_calls"}],
        "usage": {**counted(9, 2), "prompt_tokens_details": {"cached_tokens": 8}},
    }

    assert read_answer(json.dumps(answer).encode(), "m") == Usage(9, 2, 8, "tool_calls")
    assert read_answer(b'{"choices": [{}], "usage": null}', "m") == Usage()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "makes no sense"),
        (b"\xff", "makes no sense"),
        (b"[]", "makes no sense"),
        (b"{}", "without choices"),
        (b'{"choices": []}', "without choices"),
        (b'{"error": {"message": "out of memory"}}', "out of memory"),
    ],
)
def test_success_that_is_none_is_the_server_s_fault(body, message):
    with pytest.raises(EngineError, match=message):
        read_answer(body, "m")
