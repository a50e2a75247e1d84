"""A whole answer is the same whether the upstream sent it whole or the node gathered it.

A model with a price is always asked to stream, so that what was used is known whenever the client
leaves; a client that did not ask for a stream must not notice.
"""

import json
from typing import Any

import pytest

from support.nodes import chat, client_of, composed_node
from support.upstream import DONE, Answer, event, fake_upstream, usage

HEAD: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 7,
    "model": "m",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "citations": ["https://tides.example"],
}
ENTRY = {"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": []}
LOOK = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
SHELL = {"id": "c1", "type": "custom"}
STEP = {"index": 0, "type": "reasoning.text", "text": "First, the moon."}
NOTE = {"type": "url_citation", "url_citation": {"url": "https://moon.example", "end_index": 3}}

MESSAGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "text": (
        {"content": "A tide.", "refusal": None},
        [{"content": "", "refusal": None}, {"content": "A "}, {"content": "tide."}],
    ),
    "tool calls": (
        {"content": None, "tool_calls": [LOOK, {**LOOK, "id": "c2"}]},
        [
            {"content": None, "tool_calls": [{"index": 1, **LOOK, "id": "c2"}]},
            {"tool_calls": [{"index": 0, "id": "c1", "type": "function",
                             "function": {"name": "look", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"at": '}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"sea"}'}}]},
        ],
    ),
    "tool calls without numbers": (
        {"content": None, "tool_calls": [LOOK, {**LOOK, "id": "c2"}]},
        [{"tool_calls": [LOOK]}, {"tool_calls": [{**LOOK, "id": "c2"}]}],
    ),
    "custom tool": (
        {"content": None, "tool_calls": [{**SHELL, "custom": {"name": "sh", "input": "ls -l"}}]},
        [
            {"tool_calls": [{"index": 0, **SHELL, "custom": {"name": "sh", "input": "ls"}}]},
            {"tool_calls": [{"index": 0, "custom": {"input": " -l"}}]},
        ],
    ),
    "older function call": (
        {"content": None, "function_call": {"name": "look", "arguments": "{}"}},
        [{"function_call": {"name": "look", "arguments": ""}},
         {"function_call": {"arguments": "{}"}}],
    ),
    "reasoning": (
        {"content": "A tide.", "reasoning": "The moon.", "reasoning_content": "The moon."},
        [
            {"reasoning": "The ", "reasoning_content": "The "},
            {"reasoning": "moon.", "reasoning_content": "moon."},
            {"content": "A tide."},
        ],
    ),
    "reasoning in steps": (
        {"content": "A tide.", "reasoning_details": [STEP]},
        [
            {"reasoning_details": [{**STEP, "text": "First, "}]},
            {"reasoning_details": [{**STEP, "text": "the moon."}]},
            {"content": "A tide."},
        ],
    ),
    "refusal": ({"content": None, "refusal": "I would rather not."},
                [{"refusal": "I would "}, {"refusal": "rather not."}]),
    "annotations": (
        {"content": "A tide.", "annotations": [NOTE, NOTE]},
        [{"content": "A tide."}, {"annotations": [NOTE]}, {"annotations": [NOTE]}],
    ),
    "audio": (
        {"content": None,
         "audio": {"id": "a1", "data": "AAAABBBB", "transcript": "A tide.", "expires_at": 9}},
        [
            {"audio": {"id": "a1", "transcript": "A "}},
            {"audio": {"data": "AAAA", "transcript": "tide."}},
            {"audio": {"data": "BBBB", "expires_at": 9}},
        ],
    ),
}  # fmt: skip


def whole_answer(message: dict[str, Any], **beside: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "logprobs": None,
        "finish_reason": "stop",
        **beside,
    }
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage(3, 4)}


def streamed(deltas: list[dict[str, Any]], **beside: Any) -> list[bytes]:
    """The same answer as a stream; what stands beside the message comes with its end."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event({**HEAD, "object": "chat.completion.chunk", "choices": choices, **more})

    head, *rest = deltas
    deltas = [{"role": "assistant", **head}, *rest]
    said = [chunk([{"index": 0, "delta": d, "finish_reason": None}], obfuscation="x")
            for d in deltas]  # fmt: skip
    end = chunk([{"index": 0, "delta": {}, "finish_reason": "stop", **beside}])
    return [*said, end, chunk([], usage=usage(3, 4)), DONE]


async def both_ways(whole: dict[str, Any], stream: list[bytes]) -> list[dict[str, Any]]:
    """Ask a model without and one with a price; the second is gathered from a stream."""
    with fake_upstream() as upstream:
        upstream.always("plain", Answer([json.dumps(whole).encode()]))
        upstream.always("priced", Answer(stream))
        models = ("openai:plain", "openai:priced")
        async with (
            composed_node(*models, prices=("openai:priced=1/2",), env=upstream.env) as node,
            client_of(node) as client,
        ):
            body = chat("What is a tide?")
            answers = [
                await client.post("/v1/chat/completions", json=body | {"model": name})
                for name in ("plain", "priced")
            ]
        assert [seen.body["stream"] for seen in upstream.seen] == [False, True]
    return [answer.json() for answer in answers]


def without_usage(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "usage"}


@pytest.mark.parametrize("kind", MESSAGES)
async def test_a_message_is_gathered_as_it_would_have_come_whole(kind):
    message, deltas = MESSAGES[kind]

    sent, gathered = await both_ways(whole_answer(message), streamed(deltas))

    assert without_usage(gathered) == without_usage(sent)
    told = {key: gathered["usage"][key] for key in sent["usage"]}
    assert told == sent["usage"]


async def test_what_stands_beside_the_message_is_kept():
    beside = {
        "stop_reason": 128001,
        "token_ids": [5, 6],
        "logprobs": {"content": [ENTRY], "refusal": None},
        "content_filter_results": {"hate": {"filtered": False}},
    }

    sent, gathered = await both_ways(
        whole_answer({"content": "A"}, **beside), streamed([{"content": "A"}], **beside)
    )

    assert without_usage(gathered) == without_usage(sent)
