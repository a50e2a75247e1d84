"""How many tokens a request takes, as far as that can be told without the model's tokenizer.

Three answers, because three questions are asked: whether a prompt fits a context (cautious, and
cheap enough for every request), what a prompt was that nobody counted (near the truth), and what a
request can cost at most (never too few).
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from octomil.routing.requests import TOKEN_LIMITS, Body

ASSUMED_ANSWER_TOKENS = 4096
"""What an answer may take where the client sets no limit."""

_PROMPTS = ("messages", "prompt", "input")
_STRUCTURES = ("tools", "functions", "response_format")
"""Fields that a template, or the vendor, puts into the prompt as JSON or in a form like it."""

_TEXT_TYPES = frozenset({"text", "refusal"})
_TEMPLATE_TOKENS = 128  # a system prompt that the template brings along
_TOOL_TEMPLATE_TOKENS = 1024  # how to call tools: vendors put up to 700 tokens of it in front
_MESSAGE_TOKENS = 16  # the marks around a message
_MEDIA_TOKENS = 1000  # about what a picture takes
_MOST_MEDIA_TOKENS = 50_000  # the dearest picture known: gpt-4o-mini, 8 tiles of 5,667 tokens
_STRUCTURE_TOKENS_PER_BYTE = 4  # each mark on an indented line of its own, or each letter escaped
_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")
_LONGEST_FORM = 11  # no character grows by more in any of them
_LONG_BYTES = 2**20

_encode = msgspec.json.Encoder().encode


def answer_limit(body: Body) -> int | None:
    """Return the tokens an answer may have by the client's wish; None where it has none."""
    return max((body[name] for name in TOKEN_LIMITS if body.get(name)), default=None)


def context_tokens(body: Body, messages: Sequence[Mapping[str, Any]]) -> float:
    """Return about how much of a context a request needs, its answer included; rather too much.

    English has about four characters a token, other scripts up to one token a byte.

    Args:
        body: the request.
        messages: its conversation.
    """
    tokens = sum(map(_message_tokens, messages)) + (answer_limit(body) or 0)
    return tokens + sum(len(_encode(body[name])) / 3 for name in _STRUCTURES if body.get(name))


def _message_tokens(message: Mapping[str, Any]) -> float:
    content, tokens = message.get("content"), 0.0
    if isinstance(content, str):
        tokens = _cautious(content)
    elif content:
        for part in content:
            is_text = part["type"] in _TEXT_TYPES
            text = part.get(part["type"]) if is_text else None
            tokens += _cautious(text or "") if is_text else _MEDIA_TOKENS
    if message.get("tool_calls"):
        tokens += len(_encode(message["tool_calls"])) / 3
    return tokens


def _cautious(text: str) -> float:
    tokens = len(text) / 3
    return tokens if text.isascii() else tokens + len(text.encode()) - len(text)


def likely_prompt_tokens(body: Body) -> int:
    """Return about how many tokens the prompt of a request has, from its texts and its tools."""
    asked = {name: body[name] for name in (*_PROMPTS, *_STRUCTURES) if body.get(name)}
    encoded = _encode(list(asked.values()))
    characters = len(encoded.decode())
    return -(-characters // 4) + (len(encoded) - characters) // 2


def most_prompt_tokens(body: Body) -> int:
    """Return a number of tokens that the prompt of a request does not exceed.

    A tokenizer makes no more tokens than its input has bytes, once it has brought that into a
    normal form of Unicode. Pictures and the like are the exception: what a vendor makes of them
    cannot be seen here, so each counts as the dearest one known.
    """
    tokens = _most_tokens(_encode(body)) + _TEMPLATE_TOKENS
    structures = [body[name] for name in _STRUCTURES if body.get(name)]
    if structures:
        tokens += (_STRUCTURE_TOKENS_PER_BYTE - 1) * _most_tokens(_encode(structures))
        tokens += _TOOL_TEMPLATE_TOKENS
    for message in body.get("messages") or ():
        content = message.get("content")
        parts = content if isinstance(content, list) else ()
        media = sum(part["type"] not in _TEXT_TYPES for part in parts)
        tokens += _MESSAGE_TOKENS + media * _MOST_MEDIA_TOKENS
    return tokens


def most_answer_tokens(body: Body) -> int:
    """Return a number of tokens that all answers to a request together do not exceed.

    As long as the model is told to stop at `ASSUMED_ANSWER_TOKENS` where the client sets no limit.
    """
    if body.get("input") is not None:  # vectors are no tokens
        return 0
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) else 1
    answers = max(_count(body.get("n")), _count(body.get("best_of")))
    return (answer_limit(body) or ASSUMED_ANSWER_TOKENS) * prompts * answers


def _count(value: Any) -> int:
    """Read a number of answers as generously as any server might; `best_of` passes unchecked."""
    try:
        return max(1, int(value))
    except (OverflowError, TypeError, ValueError):
        return 1


def _most_tokens(encoded: bytes) -> int:
    if encoded.isascii():
        return len(encoded)
    if len(encoded) > _LONG_BYTES:
        return _LONGEST_FORM * len(encoded)
    text = encoded.decode()
    return max(len(unicodedata.normalize(form, text).encode()) for form in _FORMS)
