"""What a request asks for, as far as that decides where it may go.

The serving node asks this of requests it has checked, and a replay of logged ones, so that both
decide alike.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from octomil.routing.decompose import MAX_TASKS

Body = Mapping[str, Any]
"""A request for a chat completion or, where an endpoint is named, for a text completion."""

Needs = tuple[str, ...]
"""What a model must be able to do for a request, in a fixed order."""

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
"""Fields by which a request bounds its answer."""

_COMPLETIONS = "completions"
_TEXT_PARTS = ("text", "refusal")
_MIN_SPLIT_TOKENS = 2 * MAX_TASKS  # with fewer, no task would be answered well


def needs_of(endpoint: str, body: Body) -> Needs:
    """Name the capabilities a request needs.

    Args:
        endpoint: `chat/completions` or `completions`.
        body: the request.
    """
    needs = [_COMPLETIONS if endpoint == _COMPLETIONS else "chat"]
    if body.get("logprobs"):
        needs.append("logprobs")
    if endpoint == _COMPLETIONS:
        return tuple(needs)
    if body.get("tools") and body.get("tool_choice") != "none":
        needs.append("tools")
    if (body.get("response_format") or {}).get("type", "text") != "text":
        needs.append("structured_output")
    if any(_has_media(message.get("content")) for message in body["messages"]):
        needs.append("media")
    return tuple(needs)


def takes_plain_text(needs: Needs, body: Body) -> bool:
    """Tell whether one well-formed text is an acceptable answer, whoever or whatever wrote it."""
    return needs == ("chat",) and (body.get("n") or 1) == 1


def may_split(body: Body) -> bool:
    """Tell whether the client's wishes can be met task by task.

    A stop text ends the answer as a whole, which tasks apart cannot know; and each of them needs
    tokens of its own.
    """
    limits = [body[limit] for limit in TOKEN_LIMITS if body.get(limit)]
    return not body.get("stop") and min(limits, default=sys.maxsize) >= _MIN_SPLIT_TOKENS


def messages_of(endpoint: str, body: Body) -> Sequence[Mapping[str, Any]]:
    """Return the conversation; a text to complete is one message."""
    if endpoint != _COMPLETIONS:
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        return messages
    prompt = body["prompt"]
    text = prompt if isinstance(prompt, str) else "\n".join(prompt)
    return [{"role": "user", "content": text}]


def _has_media(content: Any) -> bool:
    return isinstance(content, list) and any(part["type"] not in _TEXT_PARTS for part in content)
