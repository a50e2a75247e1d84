"""Answers that need no model, in OpenAI's form."""

from octomil.routing.router import TIER0_MODEL
from octomil.serve.chat_writer import ChatWriter

_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def tier0_completion(text: str) -> bytes:
    """Return a chat completion that says `text` and used no tokens."""
    return ChatWriter(TIER0_MODEL).whole(text, "stop", _NO_USAGE)


def tier0_chunks(text: str, *, wants_usage: bool) -> bytes:
    """Return the same as server-sent events, without the final `[DONE]`."""
    writer = ChatWriter(TIER0_MODEL)
    events = writer.event(text) + writer.end("stop")
    return events + writer.usage_event(_NO_USAGE) if wants_usage else events
