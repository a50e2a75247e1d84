"""What a request asks for, as far as that decides where it may go.

The serving node asks this of requests it has checked, and a replay of logged ones, so that both
decide alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]
"""A request for a chat completion or, where an endpoint is named, for a text completion."""

Needs = tuple[str, ...]
"""What a model must be able to do for a request, in a fixed order."""

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
"""Fields by which a request bounds its answer."""

_COMPLETIONS = "completions"
_TEXT_PARTS = ("text", "refusal")
_ANSWER_TOKENS = 32  # two sentences; with fewer, an answer is cut before it says anything


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
    """Tell whether one well-formed text is an acceptable answer, whoever or whatever wrote it.

    A stop text may end it early, and functions, the older name of tools, may be called instead.
    """
    if body.get("stop") or (body.get("functions") and body.get("function_call") != "none"):
        return False
    return needs == ("chat",) and (body.get("n") or 1) == 1


def may_split(body: Body) -> bool:
    """Tell whether the client's wishes can be met task by task.

    A stop text ends the answer as a whole, which tasks apart cannot know.
    """
    return not body.get("stop")


def answers_within(body: Body) -> int | None:
    """Return how many answers of models can share the tokens allowed; None if they are unbounded.

    >>> answers_within({"max_tokens": 60}), answers_within({"max_tokens": 128})
    (1, 4)
    """
    limits = [body[limit] for limit in TOKEN_LIMITS if body.get(limit)]
    return max(1, min(limits) // _ANSWER_TOKENS) if limits else None


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
