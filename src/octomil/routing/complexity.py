"""How hard a query looks, from 0.0 (small talk) to 1.0 (only the best model will do).

A transparent score over the documented signals: length, code, technical vocabulary, depth of the
conversation and the system prompt. Long texts are judged by a bounded window at each end.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WINDOW = 4_000  # characters read at each end of a text
_PUNCTUATION = str.maketrans(dict.fromkeys('\t\n\r.,;:!?"()[]{}<>=`*', " "))
_CODING_WORDS = """
python javascript typescript java rust golang sql bash html css c++ c# regex json api apis function
functions algorithm algorithms code script scripts compile compiler debug refactor traceback
stacktrace unittest recursion async endpoint
"""
_REASONING_WORDS = """
explain analyze analyse compare contrast tradeoff tradeoffs trade-off trade-offs prove derive design
architect architecture implement optimize optimise evaluate critique justify step-by-step
implication implications detailed
"""
_CODING = frozenset(_CODING_WORDS.split())
_REASONING = frozenset(_REASONING_WORDS.split())
_REASONING_PHRASE = re.compile(
    r"step by step|pros and cons|why (?:does|do|is|are)|how does|difference between|in depth"
)
_CODE_SYMBOL = re.compile(
    r"```|\b(?:def|class) \w+[(:{]|\w\(\w*\)|[{};]\s*$|=>|->|</\w", re.MULTILINE
)
_SYMBOLS = frozenset("`(){};=<>")


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
    lowered = query.lower()
    words = query.translate(_PUNCTUATION).split()
    count = len(words)
    if not count:
        return 0.5 if query else 0.0  # something, but nothing to go by: the middle
    vocabulary = set(lowered.translate(_PUNCTUATION).split())
    coding = len(vocabulary & _CODING)
    if not _SYMBOLS.isdisjoint(query) and _CODE_SYMBOL.search(query):
        coding += 2
    reasons = not vocabulary.isdisjoint(_REASONING) or _REASONING_PHRASE.search(lowered)
    # Long words, and words with capitals inside: REST, FedAvg, non-IID.
    terms = len([word for word in words if len(word) > 9 or word[1:] != word[1:].lower()])
    length = min(count, 120) / 120 * 0.35
    jargon = min(terms / max(count, 8), 0.35) / 0.35 * 0.4
    code = 0.4 + min(coding, 3) * 0.15 if coding else 0.0
    return min(1.0, length + jargon + code + (0.35 if reasons else 0.0))
