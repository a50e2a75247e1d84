"""The node's own decisions: who may answer by the size of its context, and when to come back."""

from typing import Any

import pytest

from octomil.engines.echo import EchoEngine
from octomil.errors import QueueFullError, QueueTimeoutError, UnknownModelError
from octomil.serve.node import AUTO, Node
from support.nodes import chat, node_of

LONG = "Hello " * 20


async def chosen(content: Any, more: dict[str, Any] | None = None, **context_tokens: int) -> str:
    engines = {n: EchoEngine(n, context_tokens=tokens) for n, tokens in context_tokens.items()}
    async with node_of(engines) as node:
        decision, _ = node.choose("chat/completions", chat(content, **(more or {})), AUTO)
        return decision.model_name


async def test_model_whose_context_is_too_small_is_left_out():
    assert await chosen(LONG, small=10, large=8192) == "large"
    assert await chosen(LONG, small=8192, large=10) == "small"


TOOL = {"type": "function", "function": {"name": "look", "description": "tide " * 60}}


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("Hello", {"max_tokens": 100}),
        ("Hello", {"max_completion_tokens": 100}),
        ("Hello", {"tools": [TOOL]}),
        ("你好" * 30, {}),
        ("Привет " * 10, {}),
        ([{"type": "text", "text": "Hello " * 60}], {}),
    ],
    ids=["max_tokens", "max_completion_tokens", "tools", "Chinese", "Russian", "parts"],
)
async def test_answer_and_tools_and_other_scripts_take_room_in_the_context_too(content, more):
    assert await chosen(content, more, small=60, large=8192) == "large"
    assert await chosen(content, more, small=8192, large=60) == "small"


async def test_what_is_too_long_for_every_model_goes_where_it_would_go_anyway():
    fits_all = await chosen(LONG, small=8192, large=8192)

    assert await chosen(LONG, small=10, large=10) == fits_all


@pytest.mark.parametrize(
    ("mean_turn_s", "retry_after_s"), [(0.0, 1), (64.0, 1), (640.0, 10), (64_000.0, 60)]
)
@pytest.mark.parametrize("error", [QueueFullError("full"), QueueTimeoutError("too long")])
async def test_caller_is_told_to_come_back_when_a_turn_is_likely_to_be_free(
    error, mean_turn_s, retry_after_s
):
    async with node_of({"small": EchoEngine("small")}) as node:
        assert node.turnstile("small").queue.max_concurrency == 64
        node.turnstile("small").mean_turn_s = mean_turn_s

        assert node.retry_after_s(error, "small") == retry_after_s


async def test_mean_turn_follows_the_turns_that_were_taken():
    async with node_of({"small": EchoEngine("small")}) as node:
        turnstile = node.turnstile("small")
        assert turnstile.mean_turn_s == 0
        async with turnstile.turn([].append):
            pass
        first = turnstile.mean_turn_s

        assert first > 0


async def test_other_errors_say_nothing_about_the_queue():
    async with node_of({"small": EchoEngine("small")}) as node:
        assert isinstance(node, Node)
        assert node.retry_after_s(UnknownModelError("?"), "small") is None
