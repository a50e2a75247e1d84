"""What a prompt looks like, in numbers: the documented signals, style features and n-grams.

Everything is read from lower-cased words, so that neither case nor a trailing full stop nor a
polite `please` changes what a prompt looks like. Of a long text only a window at each end is read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log1p, sqrt
from operator import xor
from typing import Any, NamedTuple
from zlib import crc32

from octomil.routing.lexicon import (
    ARGUMENT,
    CODING,
    CONDITIONS,
    MODALS,
    NEGATIONS,
    PRONOUNS,
    REASONING,
    STOPWORDS,
    TECHNICAL,
)
from octomil.routing.simplicity import IN_PASSING, MOST_WORDS, is_follow_up, simplicity_of

WINDOW = 300  # characters read at each end of a text; twice as many tell no more
_CHARS_PER_WORD = 6  # of English prose, the space included
_MANY_WORDS = 400
_MANY_INSTRUCTIONS = 2_000  # characters
_DEEP_TURNS = 10
_MANY_TERMS = 4
_LOG_MANY_WORDS = log1p(_MANY_WORDS)
_ASCII_SEPARATORS = b'.,;:!?"()[]{}<>=+*/\\|`~@#$%^&_\n\t\r'
_SEPARATORS = bytes.maketrans(_ASCII_SEPARATORS, b" " * len(_ASCII_SEPARATORS))
_TYPOGRAPHIC_SEPARATORS = "“”\u2018\u2019…"
_NOTATION = b"=\\^+$<"
_CODE_MARKS = frozenset(b"`(>=;#*")
"""Whatever shows code has one of these."""
_NO_MARKS = bytes(set(range(256)) - {*_NOTATION, *_CODE_MARKS, *b'",'})
_NO_NOTATION = bytes(set(range(256)) - {*_NOTATION})
_DIGIT = re.compile(r"\d")
_OPTION_MARKS = (". ", ") ")

STYLE = (
    "words", "option_length", "option_numbers", "notation", "quotes", "commas",
    "stopwords", "word_length", "long_words", "past", "numbers", "pronouns", "modals", "negations",
    "conditions", "argument", "ing", "ly", "hyphens",
)  # fmt: skip
"""The hand-made features, in the order of their coefficients."""

TEXT_FEATURES = 6
"""The first of `STYLE` describe the whole text; the rest are shares of its distinct words."""


class Signals(NamedTuple):
    """The documented signals, each from 0 (simple) to 1 (complex)."""

    words: float = 0.0
    vocabulary: float = 0.0
    code: float = 0.0
    depth: float = 0.0
    instructions: float = 0.0


class Prompt(NamedTuple):
    """A text, taken apart once.

    Attributes:
        prose: the window that is read, without fenced code, lower-cased.
        marks: its quotes, its commas and the marks of notation and of code, in order.
        tokens: its words in order.
        distinct: each word once, in order of appearance.
        words: the number of words, outside the window estimated.
        vocabulary: the documented signal, 0 to 1.
        code: the documented signal, 0 to 1.
        reasoning: whether the prompt asks to explain, compare, prove, design and the like. One that
            lists answers asks for a choice.
        options: the answers it lists, each with its letter.
        simple: whether it is small talk or a bare follow-up (2), a short question for a fact or a
            small errand (1), or none of these (0).
    """

    prose: str
    marks: bytes
    tokens: list[str]
    distinct: dict[str, None]
    words: float
    vocabulary: float
    code: float
    reasoning: bool
    options: list[str]
    simple: int


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            part["text"]
            for part in content
            if isinstance(part, (dict, Mapping)) and isinstance(part.get("text"), str)
        )
    return ""


def read(text: str) -> Prompt:
    """Take a prompt apart; the work is bounded, whatever its length."""
    omitted = len(text) - 2 * WINDOW
    if omitted > 0:
        text = f"{text[:WINDOW]}\n{text[-WINDOW:]}"
    fenced = 0
    if "```" in text:
        parts = text.split("```")
        fenced = 1 + sum(map(len, parts[1::2]))
        text = "\n".join(parts[::2])
    prose = text.lower().strip()
    encoded = _encoded(prose)
    marks = encoded.translate(None, _NO_MARKS)
    tokens = encoded.translate(_SEPARATORS).decode("utf-8", "surrogatepass").split()
    distinct = dict.fromkeys(tokens)
    if "please" in distinct:
        del distinct["please"]
        tokens = [word for word in tokens if word != "please"]
    count = len(tokens) + omitted / _CHARS_PER_WORD if omitted > 0 else float(len(tokens))
    lists = sum(map(_lists.__getitem__, distinct))
    code = 0.4 * ((lists >> _CODING_BITS) & _MASK)
    if fenced:
        code += 0.5 + fenced / 1000
    if _shows_code(prose, marks):
        code += 0.6
    options = _options_of(prose) if "\n" in prose else []
    terms = float(lists & _MASK)
    reasoning = False
    if not options:
        reasoning = (lists >> _REASONING_BITS) & _MASK > 0
        terms += (lists >> _LONG_BITS) / 2
    simple = 0
    if count <= MOST_WORDS and not code:
        if is_follow_up(tokens, distinct):
            simple, reasoning = IN_PASSING, False
        elif not reasoning and terms < 1:
            simple = simplicity_of(prose, tokens, distinct)
    return Prompt(
        prose,
        marks,
        tokens,
        distinct,
        count,
        min(terms / _MANY_TERMS, 1.0),
        min(code, 1.0),
        reasoning,
        options,
        simple,
    )


def _encoded(prose: str) -> bytes:
    """Encode a text so that every separator is one byte: bytes are translated much faster."""
    if prose.isascii():
        return prose.encode()
    for separator in _TYPOGRAPHIC_SEPARATORS:
        prose = prose.replace(separator, " ")
    return prose.encode("utf-8", "surrogatepass")


def _options_of(prose: str) -> list[str]:
    return [line for line in prose.split("\n") if line[1:3] in _OPTION_MARKS and line[0].isalpha()]


def _shows_code(prose: str, marks: bytes) -> bool:
    """Look for marks that prose has none of; a pattern would take longer than all the rest."""
    if _CODE_MARKS.isdisjoint(marks):
        return False
    return (
        "`" in prose
        or ("(" in prose and ("()" in prose or "):" in prose or ");" in prose or ") {" in prose))
        or (">" in prose and ("=>" in prose or "->" in prose or "</" in prose))
        or " == " in prose
        or ";\n" in prose
        or "#include" in prose
        or "select * " in prose
        or "traceback (" in prose
    )


def signals(prompt: Prompt, turns: int, instructions: str) -> Signals:
    """Bring the documented signals to one scale.

    Args:
        prompt: the last question.
        turns: how many messages the user has sent.
        instructions: the system prompts, joined.
    """
    return Signals(
        _log_words(prompt) / _LOG_MANY_WORDS,
        prompt.vocabulary,
        prompt.code,
        min(turns - 1, _DEEP_TURNS) / _DEEP_TURNS if turns > 1 else 0.0,
        min(len(instructions) / _MANY_INSTRUCTIONS, 1.0) if instructions else 0.0,
    )


def text_style(prompt: Prompt) -> tuple[float, ...]:
    """Return the features of the whole text: the first `TEXT_FEATURES` of `STYLE`."""
    count = len(prompt.tokens) or 1
    options = prompt.options
    length = numeric = notation = quotes = commas = 0.0
    if options:
        length = log1p(sum(map(len, options)) / len(options))
        numeric = sum(map(bool, map(_DIGIT.search, options))) / len(options)
    marks = prompt.marks
    if marks:
        notation = sqrt(len(marks.translate(None, _NO_NOTATION)) / count)
        quotes = min(marks.count(b'"') / count, 0.2)
        commas = marks.count(b",") / count
    return _log_words(prompt), length, numeric, notation, quotes, commas


def _log_words(prompt: Prompt) -> float:
    return log1p(prompt.words) if prompt.words < _MANY_WORDS else _LOG_MANY_WORDS


def word_style(word: str) -> tuple[float, ...]:
    """Return what one word adds to the shares: the rest of `STYLE`."""
    return (
        float(word in STOPWORDS),
        float(min(len(word), 20)),
        float(len(word) > 9),
        float(word.endswith("ed")),
        float(word[0].isdigit()),
        float(word in PRONOUNS),
        float(word in MODALS),
        float(word in NEGATIONS),
        float(word in CONDITIONS),
        float(word in ARGUMENT),
        float(word.endswith("ing")),
        float(word.endswith("ly")),
        float("-" in word),
    )


def code_of(word: str, buckets: int) -> int:
    """Return where a table of `buckets` (a power of two) holds a word; the same in every process.

    All numbers count as one word: which number it is tells the topic, not the difficulty.
    """
    return crc32(b"#" if word.isdigit() else word.encode("utf-8", "surrogatepass")) & (buckets - 1)


def second_code_of(word: str, buckets: int) -> int:
    """Return what a word contributes as the second of a pair: the pair's place is first XOR second.

    It differs from `code_of`, so that a pair and its reverse have different places.
    """
    return (code_of(word, 1 << 32) * 0x9E3779B1 >> 7) & (buckets - 1)


def pair_buckets(first: Sequence[int], second: Sequence[int]) -> Iterable[int]:
    """Return the places of neighbouring words, from their codes as first and as second."""
    return map(xor, first, second[1:])


class Memo(dict[str, Any]):
    """A bounded memory of a function's values: speech repeats its words (Zipf's law)."""

    LIMIT = 20_000
    _LONGEST = 40

    def __init__(self, function: Callable[[str], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: str) -> Any:
        value = self._function(key)
        if len(key) <= self._LONGEST:
            if len(self) >= self.LIMIT:
                self.clear()
            self[key] = value
        return value


def _lists_of(word: str) -> int:
    """Count a word for three lists at once: one look-up per word is all there is time for.

    From the lowest bits: technical terms, words of programming, words that ask for reasoning, and
    words as long as a term, which all exam questions are full of and which therefore count only in
    prompts that list no answers.
    """
    return (
        (word in TECHNICAL)
        + ((word in CODING) << _CODING_BITS)
        + ((word in REASONING) << _REASONING_BITS)
        + ((len(word) > 11 and word.isalpha() and word not in TECHNICAL) << _LONG_BITS)
    )


_lists = Memo(_lists_of)
_CODING_BITS, _REASONING_BITS, _LONG_BITS, _MASK = 12, 24, 36, 0xFFF


def last_question(messages: Iterable[Mapping[str, Any]]) -> tuple[str, int, str]:
    """Return the last user message, the number of user messages, and the system prompts.

    The work is bounded by the number of messages. Of many system prompts only the first are
    read, and of many parts those at each end, as of a long text: more would tell no more.
    """
    last, turns, instructions = None, 0, ""
    for message in messages:
        role = message.get("role")
        if role == "user":
            last, turns = message, turns + 1
        elif role in ("system", "developer") and len(instructions) < _MANY_INSTRUCTIONS:
            instructions += text_of(message.get("content"))
    content = None if last is None else last.get("content")
    if isinstance(content, list) and len(content) > 2 * WINDOW:
        content = [*content[:WINDOW], *content[-WINDOW:]]
    return text_of(content), turns, instructions
