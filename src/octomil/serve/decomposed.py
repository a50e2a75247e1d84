"""Answering a message that asks for several things: each task by its own model, as one answer.

Independent tasks run at the same time, a task that leans on another gets that one's answer, and the
client reads them in the order of the message: the first as it is written, the later ones, which
were kept meanwhile, in their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from octomil.engines.base import GenerationRequest, Usage
from octomil.engines.relay import usage_json
from octomil.http.sse import DONE
from octomil.routing.decompose import lineage
from octomil.routing.requests import TOKEN_LIMITS
from octomil.routing.router import DecomposedDecision
from octomil.serve.answers import Header, ResponseWriter, routing_headers
from octomil.serve.chat_writer import ChatWriter
from octomil.serve.merging import Merger
from octomil.serve.node import Node
from octomil.serve.observation import Observation
from octomil.serve.subtasks import Places, TaskRun

_NOT_PASSED_ON = frozenset({"stream", "stream_options"})


class DecomposedAnswer:
    """The answers to all tasks of a message, as they become one.

    Args:
        node: who answers.
        request: the client's request; its `max_tokens` bounds all answers together, so that each
            model may use an equal share of it.
        decision: the tasks, and where each of them goes.
    """

    def __init__(
        self, node: Node, request: GenerationRequest, decision: DecomposedDecision
    ) -> None:
        self._node = node
        self._body = request.body
        self._is_live = bool(request.body.get("stream"))
        self._tasks = decision.tasks
        self._runs = [TaskRun(sub) for sub in decision.sub_decisions]
        self._places = Places(node)

    @property
    def models(self) -> str:
        """Who answers each task, as `X-Octomil-Subtask-Models` says it."""
        return ",".join(run.seen.model for run in self._runs)

    @property
    def finish_reason(self) -> str:
        """The first reason that is not `stop`, if any task has one."""
        reasons = (run.seen.outcome for run in self._runs)
        return next((reason for reason in reasons if reason != "stop"), "stop")

    @property
    def usage(self) -> Usage:
        """The tokens of all prompts and answers."""
        used = [run.seen.usage for run in self._runs]
        return Usage(
            sum(usage.prompt_tokens for usage in used),
            sum(usage.completion_tokens for usage in used),
            sum(usage.cached_tokens for usage in used),
            self.finish_reason,
        )

    @property
    def first_at(self) -> float | None:
        """When the first token of any answer came, by `perf_counter`; None before."""
        came = (run.seen.timing.first_at for run in self._runs)
        return min((at for at in came if at is not None), default=None)

    def observe(self, seen: Observation) -> None:
        """Note where the message went: it counts for its highest task."""
        parts = [run.seen for run in self._runs]
        highest = max(parts, key=lambda part: part.tier)
        seen.model, seen.tier, seen.subtasks = highest.model, highest.tier, parts
        seen.usage = self.usage

    async def write(self, say: Callable[[str], Awaitable[None]]) -> None:
        """Call `say` with one piece of the merged answer after the other.

        Raises:
            OctomilError: a task was answered by none of its models; the others are cancelled.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for index, run in enumerate(self._runs):
                    if not run.needs_no_model:
                        group.create_task(self._work(index))
                await self._say_in_order(say)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _work(self, index: int) -> None:
        run, messages = self._runs[index], await self._conversation(index)
        body = {key: value for key, value in self._body.items() if key not in _NOT_PASSED_ON}
        for limit in TOKEN_LIMITS:
            if body.get(limit):
                body[limit] = self._share(body[limit], index)
        body["messages"] = messages
        request = GenerationRequest("chat/completions", body)
        await run.run(self._node, request, self._places)

    async def _conversation(self, index: int) -> list[dict[str, Any]]:
        """Return the messages for a task, once what it leans on has been answered.

        As if the client had asked one thing after the other: told all at once, small models begin
        with the first task again.
        """
        *messages, last = self._body["messages"]
        for earlier in lineage(self._tasks, index):
            answer = await self._runs[earlier].whole_text()
            messages.append({**last, "content": self._tasks[earlier].text})
            messages.append({"role": "assistant", "content": answer.strip()})
        return [*messages, {**last, "content": self._tasks[index].text}]

    def _share(self, tokens: int, index: int) -> int:
        """Return how many of the client's tokens a task may use; the first ones get the rest."""
        working = [i for i, run in enumerate(self._runs) if not run.needs_no_model]
        each, rest = divmod(tokens, len(working))
        return each + (working.index(index) < rest)

    async def _say_in_order(self, say: Callable[[str], Awaitable[None]]) -> None:
        merger = Merger()
        for run in self._runs:
            if not self._is_live:  # what nobody has seen yet can be begun anew by another model
                await run.whole_text()
            while (piece := await run.take()) is not None:
                said = merger.add(piece)
                if said:
                    await say(said)
            merger.begin_answer()


async def send_decomposed(
    node: Node,
    request: GenerationRequest,
    decision: DecomposedDecision,
    seen: Observation,
    writer: ResponseWriter,
) -> None:
    """Answer a message task by task, as one chat completion.

    Raises:
        OctomilError: it cannot be answered; `writer` knows whether anything was sent.
    """
    answer = DecomposedAnswer(node, request, decision)
    try:
        writer.headers = _headers(answer, seen)
        if request.body.get("stream"):
            await _stream(request, answer, seen, writer)
        else:
            parts: list[str] = []
            await answer.write(_collect_in(parts))
            writer.headers = _headers(answer, seen)
            text, usage = "".join(parts), usage_json(answer.usage)
            body = ChatWriter(seen.model).whole(text, answer.finish_reason, usage)
            await writer.send_whole(body)
        seen.outcome = answer.finish_reason
    finally:
        answer.observe(seen)
        if seen.timing.first_at is None:
            seen.timing.first_at = answer.first_at


def _collect_in(parts: list[str]) -> Callable[[str], Awaitable[None]]:
    async def say(text: str) -> None:
        parts.append(text)

    return say


async def _stream(
    request: GenerationRequest, answer: DecomposedAnswer, seen: Observation, writer: ResponseWriter
) -> None:
    chat = ChatWriter(seen.model)
    promised = _news(answer, seen)

    async def say(text: str) -> None:
        nonlocal chat, promised
        if not writer.started:
            seen.timing.first_at = perf_counter()
            writer.headers = _headers(answer, seen)
            chat, promised = ChatWriter(seen.model), _news(answer, seen)
        await writer.send_block(chat.event(text))

    await answer.write(say)
    # The headers went out with the first word; what changed since then is told at the end.
    changed = {name: text for name, text in _news(answer, seen).items() if text != promised[name]}
    ending = chat.end(answer.finish_reason, **({"octomil": changed} if changed else {}))
    if request.wants_usage:
        ending += chat.usage_event(usage_json(answer.usage))
    await writer.send_block(ending + DONE, is_last=True)


def _news(answer: DecomposedAnswer, seen: Observation) -> dict[str, str]:
    """Return what the headers say and may still change after they went out."""
    return {"subtask_models": answer.models, "escalated_from": seen.escalated_from}


def _headers(answer: DecomposedAnswer, seen: Observation) -> list[Header]:
    answer.observe(seen)
    models = answer.models.encode("latin-1", "replace")
    return [
        *routing_headers(seen),
        (b"x-octomil-decomposed", b"true"),
        (b"x-octomil-subtasks", b"%d" % len(seen.subtasks)),
        (b"x-octomil-subtask-models", models),
    ]
