"""How hard a query looks, from 0.0 (small talk) to 1.0 (only the best model will do).

A transparent score over the documented signals: length, code, technical vocabulary, depth of the
conversation and the system prompt. Long texts are judged by a bounded window at each end.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WINDOW = 4_000  # characters read at each end of a text
_WORD = re.compile(r"[A-Za-z][A-Za-z'+#-]*")
_CODE = re.compile(
    r"```|\bdef \w+\(|\bclass \w+[:({]|\w+\(\w*\)|[{};]\s*$|=>|->|</\w+>|\btraceback\b"
    r"|\b(?:python|javascript|typescript|java|rust|golang|sql|bash|html|css|regex|api|json"
    r"|function|algorithm|code|script|compile|debug|refactor|stack ?trace|unit tests?)\b"
    r"|\bc\+\+|\bc#",
    re.IGNORECASE | re.MULTILINE,
)
_REASONING = re.compile(
    r"\b(?:explain|analy[sz]e|compare|contrast|trade-?offs?|prove|derive|design|architect\w*"
    r"|implement|optimi[sz]e|evaluate|critique|justify|step[- ]by[- ]step|pros and cons"
    r"|why does|how does|implications?|difference between|in depth|detailed)\b",
    re.IGNORECASE,
)


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            part["text"]
            for part in content
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    return ""


def score(messages: Iterable[Mapping[str, Any]]) -> float:
    """Score a conversation by its last user message and by what surrounds it.

    Args:
        messages: OpenAI-style messages, oldest first.

    Returns:
        A complexity between 0.0 and 1.0.

    Example:
        >>> score([{"role": "user", "content": "hello"}]) < 0.3
        True
    """
    query, system_chars, turns = "", 0, 0
    for message in messages:
        role = message.get("role")
        if role == "user":
            query, turns = text_of(message.get("content")), turns + 1
        elif role in ("system", "developer"):
            system_chars += len(text_of(message.get("content")))
    query_score = _query_score(query)
    depth = min(max(turns - 1, 0), 10) * 0.01
    return min(1.0, query_score + depth + min(system_chars, 2_000) / 2_000 * 0.1)


def _query_score(query: str) -> float:
    if len(query) > 2 * _WINDOW:
        query = f"{query[:_WINDOW]}\n{query[-_WINDOW:]}"
    words = _WORD.findall(query)
    if not words:
        return 0.5 if query.strip() else 0.0
    count = len(words)
    length = min(count, 120) / 120 * 0.35
    long_words = sum(len(word) > 9 or word[1:] != word[1:].lower() for word in words)
    jargon = min(long_words / max(count, 8), 0.35) / 0.35 * 0.3 if long_words else 0.0
    code = min(len(_CODE.findall(query)), 4) / 4 * 0.3 + 0.25 if _CODE.search(query) else 0.0
    reasoning = 0.3 if _REASONING.search(query) else 0.0
    return min(1.0, length + jargon + code + reasoning)
