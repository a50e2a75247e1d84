"""Redaction: idempotent for any patterns and any replacement, and it leaves nothing behind."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from epochly.errors import ConfigurationError
from epochly.inference.privacy.patterns import BUILTIN
from epochly.inference.privacy.redaction import InputRedactor

SIGNS = "ab#[]1.\n é"
texts = st.text(SIGNS, max_size=24)
parts = st.sampled_from(
    [
        "a",
        "b",
        "#",
        r"\[",
        r"\]",
        "1",
        ".",
        r"\b",
        "^",
        "$",
        r"\w",
        r"[^a]",
        "a|b",
        "é",
        r"\d+",
        r"(?m)^",
    ]
)
patterns = st.lists(
    st.builds(
        lambda pieces, repeat: "".join(f"(?:{piece}){repeat}" for piece in pieces),
        st.lists(parts, min_size=1, max_size=4),
        st.sampled_from(["", "+", "?", "{2}", "*?"]),
    ),
    min_size=1,
    max_size=4,
)
replacements = st.text(SIGNS, max_size=4)


def redactor_of(patterns: list[str], replacement: str) -> InputRedactor | None:
    """The redactor, or None where its construction says that a pattern cannot be used."""
    with suppress(ConfigurationError):
        return InputRedactor(patterns, replacement)
    return None


@given(patterns, replacements, texts)
def test_redacting_twice_is_redacting_once(wanted: list[str], replacement: str, text: str):
    redactor = redactor_of(wanted, replacement)
    if redactor is None:
        return

    once = redactor.redact(text)

    assert redactor.redact(once) == once
    assert redactor.redact(text.encode()) == once.encode()


pieces = st.lists(
    st.sampled_from(
        [
            *("ann@example.com", "4111 1111 1111 1111", "123-45-6789", "10.0.0.1", "fe80::1", "::"),
            *("+49 30 1234567", "DE89 3704 0044 0532 0130 00", "eyJh.eyJ.x", "[REDACTED]", "[RED"),
            *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", " ", ":", "-", "1", "a"),
        ]
    ),
    max_size=12,
).map("".join)


@given(pieces, st.sampled_from(["[REDACTED]", "***", "", "1", ":"]))
def test_the_shipped_patterns_are_idempotent_too(text: str, replacement: str):
    redactor = InputRedactor(["builtin:all"], replacement)

    once = redactor.redact(text)

    assert redactor.redact(once) == once


@given(st.binary(max_size=64), st.sampled_from(sorted(BUILTIN)))
def test_bytes_without_a_match_are_returned_as_they_are(data: bytes, name: str):
    redactor = InputRedactor([f"builtin:{name}"])

    redacted = redactor.redact(data)

    assert redacted == data or b"[REDACTED]" in redacted
    assert redactor.redact(redacted) == redacted


@given(texts, texts, st.lists(st.sampled_from(["ab", "ba", "a1", "1b"]), min_size=1, unique=True))
def test_nothing_a_pattern_matches_is_left(before: str, after: str, wanted: list[str]):
    redacted = InputRedactor(wanted, "[X]").redact(before + "".join(wanted) + after)

    assert not any(literal in redacted for literal in wanted)
