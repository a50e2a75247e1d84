"""What a client wrote, as the audit log may keep it: redacted value by value, and bounded.

Values are redacted, not their JSON, in which any sign may be an escape. Texts that are JSON
themselves, such as the arguments of a call, are taken apart in the same way.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from epochly.inference.privacy.redaction import InputRedactor

MAX_TEXT_CHARS: Final = 65_536
"""Of a prompt, so much is kept."""

LONGEST_SECRET_CHARS: Final = 8_192
"""So much more is read of a text that is cut, and dropped redacted: a secret that the end of what
was read divides is in there."""

MAX_DEPTH: Final = 64
TOO_DEEP: Final = "[NESTED TOO DEEPLY]"
_CUT: Final = "…"

_JSON_CHARS = 2_048  # room for what JSON adds, before it is cut itself
_CONTENT = ("messages", "prompt", "input")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def redacted_content(asked: Mapping[str, Any], redactor: InputRedactor) -> str:
    """Return what the client wrote, as JSON of at most `MAX_TEXT_CHARS`.

    It is cut where it is longer, which may leave half an object, but no part of a secret.

    Args:
        asked: the body of the request, decoded.
        redactor: what is secret.
    """
    found = {field: asked[field] for field in _CONTENT if asked.get(field)}
    redaction = _Redaction(redactor, MAX_TEXT_CHARS - _JSON_CHARS)
    return _encode(redaction.of(found)).decode()[:MAX_TEXT_CHARS]


class _Redaction:
    """Redacts a tree of values from its first text on, until there are `chars` of it."""

    def __init__(self, redactor: InputRedactor, chars: int) -> None:
        self._redactor = redactor
        self._left = chars

    def of(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return self._text(value, depth)
        if isinstance(value, Mapping | list | tuple):
            self._left -= len("[]")
            return TOO_DEEP if depth == MAX_DEPTH else self._container(value, depth + 1)
        self._left -= len(str(value))
        return self._redactor.redact_tree(value)

    def _container(self, value: Mapping[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
        if isinstance(value, Mapping):
            pairs: dict[str, Any] = {}
            for key, inner in value.items():
                if self._left <= 0:
                    break
                shown = self._text(key, MAX_DEPTH)
                pairs[shown] = self.of(inner, depth)
            return pairs
        items: list[Any] = []
        for inner in value:
            if self._left <= 0:
                break
            items.append(self.of(inner, depth))
        return items

    def _text(self, text: str, depth: int) -> str:
        inner = None if depth == MAX_DEPTH else _container_in(text)
        if inner is not None:
            return _encode(self.of(inner, depth)).decode()
        left, self._left = max(0, self._left), self._left - len(text)
        read = text[: left + LONGEST_SECRET_CHARS]
        redacted = self._redactor.redact(read)
        whole_chars = len(redacted) - (LONGEST_SECRET_CHARS if len(read) < len(text) else 0)
        kept = redacted[: max(0, min(left, whole_chars))]
        return kept if kept == redacted else kept + _CUT


def _container_in(text: str) -> dict[str, Any] | list[Any] | None:
    """What a text holds that is JSON; None where it is anything else."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        found: dict[str, Any] | list[Any] = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return found
