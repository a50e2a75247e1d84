"""What a request needs of a model, matched with what the model's engine can do."""

from collections.abc import Mapping
from typing import Any

from octomil.engines.base import Capabilities, Endpoint

Needs = tuple[str, ...]
"""Names of fields of `Capabilities`, in a fixed order."""

_TEXT_PARTS = ("text", "refusal")

WORDS = {
    "chat": "chat",
    "completions": "text completion",
    "tools": "tools: its chat template has no place for them",
    "logprobs": "log-probabilities",
    "structured_output": "structured output",
    "embeddings": "embeddings",
    "media": "images, sound or files: it reads text only",
}
PARAMS = {
    "tools": "tools",
    "logprobs": "logprobs",
    "structured_output": "response_format",
    "chat": "model",
    "completions": "model",
    "embeddings": "model",
    "media": "messages",
}


def needs_of(endpoint: Endpoint, body: Mapping[str, Any]) -> Needs:
    """Name the capabilities a request needs."""
    needs = ["completions" if endpoint == "completions" else "chat"]
    if body.get("logprobs"):
        needs.append("logprobs")
    if endpoint == "completions":
        return tuple(needs)
    if body.get("tools") and body.get("tool_choice") != "none":
        needs.append("tools")
    if (body.get("response_format") or {}).get("type", "text") != "text":
        needs.append("structured_output")
    for message in body["messages"]:
        if isinstance(message.get("content"), list) and _has_media(message["content"]):
            needs.append("media")
            break
    return tuple(needs)


def first_missing(capabilities: Capabilities, needs: Needs) -> str:
    """Return the first need that is not met, or nothing."""
    for need in needs:
        if not getattr(capabilities, need):
            return need
    return ""


def _has_media(parts: list[dict[str, Any]]) -> bool:
    return any(part["type"] not in _TEXT_PARTS for part in parts)
