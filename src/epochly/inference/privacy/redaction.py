"""Replace personal and secret data before anything is kept.

Patterns run on RE2, whose searches take time linear in the text whatever the pattern, over UTF-8
bytes, so that text and bytes are treated alike and nothing is lost in decoding.

Redacting twice gives what redacting once gives, for any patterns and any replacement: one pass is
repeated until it changes nothing, and a text that is not settled after a fixed number of passes is
replaced as a whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, overload

from epochly._optional import require
from epochly.errors import ConfigurationError
from epochly.inference.privacy.patterns import BUILTIN, BuiltinPattern, Span

DEFAULT_REPLACEMENT: Final = "[REDACTED]"
BUILTIN_PREFIX: Final = "builtin:"

_PASSES = 16
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_REFUSED = {
    "lookahead and lookbehind": re.compile(r"\(\?<?[=!]"),
    "backreferences": re.compile(r"\\[1-9]|\(\?P="),
}
"""What costs other engines their linear time, and how RE2's complaint about it looks."""


_WRITTEN_ESCAPE = re.compile(rb"\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)


class InputRedactor:
    r"""Replace what matches any of the patterns.

    Each pattern's matches are found on their own, so that data two patterns share is redacted
    wholly: overlapping matches become one replacement. The replacement is literal, and text that
    equals it is left alone. In RE2 `\d`, `\w` and `\b` are ASCII; `\p{L}` and `\p{N}` are any
    script's letters and numbers. The shipped patterns also find what stands between escapes, as in
    JSON and in programs: there a line break is `\n`, whose `n` is no part of the word behind it.

    Args:
        patterns: regular expressions in RE2's syntax, and `"builtin:NAME"` for a shipped one
            (`builtin:email`, …; `builtin:all` for all of them).
        replacement: what takes the place of a match; may be empty.

    Raises:
        ConfigurationError: a pattern is not valid, needs what RE2 refuses for its cost
            (lookaround, backreferences), matches the empty text, or names no shipped pattern.
        MissingDependencyError: `google-re2` is not installed and a pattern needs it.

    Example:
        >>> InputRedactor([r"\d{3}-\d{4}", "builtin:email"]).redact("ann@example.com, 555-1234")
        '[REDACTED], [REDACTED]'
        >>> InputRedactor(["builtin:card"], "***").redact(b"4111 1111 1111 1111 / 1234567890123")
        b'*** / 1234567890123'
    """

    def __init__(self, patterns: Iterable[str], replacement: str = DEFAULT_REPLACEMENT) -> None:
        if isinstance(patterns, str | bytes):
            raise ConfigurationError(f"patterns must be a list of patterns, got {patterns!r}")
        if not isinstance(replacement, str):
            raise ConfigurationError(f"replacement must be text, got {replacement!r}")
        selected = [item for pattern in patterns for item in _selected(pattern)]
        self._replacement = _encode(replacement)
        self._matchers = [_Matcher(pattern) for pattern in selected]
        self._shipped = [matcher for matcher in self._matchers if matcher.is_shipped]
        self._any = _compile_any([pattern.regex for pattern in selected])

    @overload
    def redact(self, data: str) -> str: ...

    @overload
    def redact(self, data: bytes) -> bytes: ...

    def redact(self, data: str | bytes) -> str | bytes:
        """Return `data` with every match replaced; text stays text and bytes stay bytes.

        Raises:
            TypeError: `data` is neither text nor bytes.
        """
        if isinstance(data, str):
            encoded = _encode(data)
            redacted = self._settled(encoded)
            return data if redacted is encoded else redacted.decode("utf-8", "surrogatepass")
        if isinstance(data, bytes):
            return self._settled(data)
        raise TypeError(f"only str and bytes can be redacted, got {type(data).__name__}")

    def redact_tree(self, value: Any) -> Any:
        """Return a copy of nested lists and mappings with every text and bytes in them redacted.

        Keys of mappings are redacted too, and numbers, which are text where their digits match; a
        tuple or a set comes back as a tuple, and any other value as it is.
        """
        if isinstance(value, str | bytes):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact_tree(key): self.redact_tree(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            redacted = [self.redact_tree(inner) for inner in value]
            return redacted if isinstance(value, list) else tuple(redacted)
        if isinstance(value, int | float):
            text = str(value)
            redacted_text = self.redact(text)
            return value if redacted_text == text else redacted_text
        return value

    def _settled(self, data: bytes) -> bytes:
        for _ in range(_PASSES):
            spans = self._spans(data)
            if not spans:
                return data
            data = _replaced(data, spans, self._replacement)
        return data if not self._spans(data) else self._replacement

    def _spans(self, data: bytes) -> list[Span]:
        """What one pass replaces: in order, without overlap, whole replacements left out."""
        found = self._found(data, self._matchers)
        if b"\\" in data:
            found += self._found(_without_escapes(data), self._shipped)
        found.sort()
        replaced = _occurrences(data, self._replacement) if self._replacement else []
        return _merged(_beyond(found, replaced) if replaced else found)

    def _found(self, data: bytes, matchers: Sequence["_Matcher"]) -> list[Span]:
        if self._any is not None and self._any.search(data) is None:
            return []
        return [span for matcher in matchers for span in matcher.spans(data)]


class _Matcher:
    """One pattern: its confirmed, non-empty matches in bytes."""

    def __init__(self, pattern: BuiltinPattern) -> None:
        self.is_shipped = any(pattern is shipped for shipped in BUILTIN.values())
        self._compiled = _compile(pattern.regex)
        self._confirm = pattern.confirm

    def spans(self, data: bytes) -> Iterator[Span]:
        for match in self._compiled.finditer(data):
            start, end = match.span()
            if self._confirm is None:
                if end > start:
                    yield start, end
            else:
                for first, last in self._confirm(data[start:end]):
                    yield start + first, start + last


def _selected(pattern: str) -> list[BuiltinPattern]:
    if not isinstance(pattern, str):
        raise ConfigurationError(f"a pattern must be text, got {pattern!r}")
    if not pattern.startswith(BUILTIN_PREFIX):
        return [BuiltinPattern(_checked(pattern))]
    name = pattern.removeprefix(BUILTIN_PREFIX)
    if name == "all":
        return list(BUILTIN.values())
    if name not in BUILTIN:
        near = get_close_matches(name, BUILTIN, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(BUILTIN)
        raise ConfigurationError(f"no shipped pattern {name!r}; {hint}there are all, {known}")
    return [BUILTIN[name]]


def _checked(pattern: str) -> str:
    if any(escaped[1] == "C" for escaped in _ESCAPE.finditer(pattern)):
        raise ConfigurationError(
            f"pattern {pattern!r} matches single bytes (\\C), which would tear characters; "
            "use . or a character class"
        )
    if _compile(pattern).search(b"") is not None:
        raise ConfigurationError(
            f"pattern {pattern!r} matches the empty text and so every place; make at least one "
            "character of it required"
        )
    return pattern


def _compile(pattern: str) -> Any:
    re2 = require("re2", package="google-re2", purpose="redaction")
    try:
        return re2.compile(pattern, _options(re2))
    except (re2.error, UnicodeEncodeError) as err:
        reason = _reason(err)
    raise ConfigurationError(f"pattern {pattern!r} cannot be used: {reason}")


def _reason(error: Exception) -> str:
    complaint = error.args[0] if error.args else ""
    text = complaint.decode("utf-8", "replace") if isinstance(complaint, bytes) else str(error)
    for feature, sign in _REFUSED.items():
        if sign.search(text):
            return (
                f"{feature} have no linear-time search, so RE2 has none ({text}); match the "
                "surrounding text too, or list the alternatives as patterns of their own"
            )
    return f"{text}; see the syntax of RE2"


def _options(re2: Any) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return options


def _compile_any(patterns: Sequence[str]) -> Any:
    """Return one pattern that is found wherever any of them is; None where they do not fit in one.

    With it, text without matches costs one scan instead of one for each pattern.
    """
    if len(patterns) < 2:
        return None
    re2 = require("re2", package="google-re2", purpose="redaction")
    options = _options(re2)
    options.max_mem = 64 << 20
    try:
        return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), options)
    except re2.error:
        return None


def _encode(text: str) -> bytes:
    # A lone surrogate is no character to RE2, so no match tears it and it survives the way back.
    return text.encode("utf-8", "surrogatepass")


def _without_escapes(data: bytes) -> bytes:
    """Blank out backslash escapes; everything else stays where it is."""
    return _WRITTEN_ESCAPE.sub(lambda escape: b"\0" * len(escape[0]), data)


def _occurrences(data: bytes, part: bytes) -> list[Span]:
    found: list[Span] = []
    at = data.find(part)
    while at >= 0:
        found.append((at, at + len(part)))
        at = data.find(part, at + len(part))
    return found


def _beyond(spans: list[Span], replaced: list[Span]) -> list[Span]:
    """Drop the spans inside earlier replacements; widen those that cut into one to take it whole.

    Both lists are in the order of their starts, and so is the result.
    """
    kept: list[Span] = []
    at = 0
    for start, end in spans:
        while at < len(replaced) and replaced[at][1] <= start:
            at += 1
        first, last = start, end
        for before, after in _overlapping(replaced, at, end):
            if before <= start and end <= after:
                break
            first, last = min(first, before), max(last, after)
        else:
            kept.append((first, last))
    return kept


def _overlapping(replaced: list[Span], at: int, end: int) -> Iterator[Span]:
    while at < len(replaced) and replaced[at][0] < end:
        yield replaced[at]
        at += 1


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _replaced(data: bytes, spans: list[Span], replacement: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end in spans:
        parts += data[at:start], replacement
        at = end
    parts.append(data[at:])
    return b"".join(parts)
