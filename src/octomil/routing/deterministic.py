"""Tier 0: queries with one exact answer, answered without a model.

A query is answered only if all of it, after polite words at both ends, is arithmetic, a percentage
or a unit conversion with a single reading. Anything else is passed on: a model can still be right
about what tier 0 does not understand, but nobody corrects tier 0. Nothing is evaluated as code.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from octomil.errors import ConfigurationError
from octomil.routing.arithmetic import Intent, evaluate
from octomil.routing.conversions import CONVERSION_WORDS, answer_conversion
from octomil.routing.notation import ARITHMETIC_WORDS, ORDINAL_WORDS
from octomil.routing.numerals import NUMBER_WORDS, write_number
from octomil.routing.operations import OPERATION_WORDS, compute_operation
from octomil.routing.percentages import PERCENTAGE_WORDS, answer_percentage

MAX_QUERY_CHARS = 256

_OPENING = re.compile(
    r"(?:(?:hi|hey|hello|ok|okay|so|now|then|also|and|please|pls)\b[ ,!:]*)*"
    r"(?:(?:can|could|would|will) you (?:please )?)?"
    r"(?:(?:tell|show|give) me |do you know |help me )?(?:please )?"
    r"(?:(?P<verb>calculate|compute|evaluate|solve|work out|figure out)\b(?: |: ?)"
    r"|convert\b(?: |: ?)"
    r"|(?P<ask>what(?:'?s| is| are| does|(?= (?!per ?cent|%)))|find"
    r"|how (?:much|far|long|tall|heavy|hot|cold|big|fast) (?:is|are))"
    r"(?: |: ?)(?:do you get (?:when|if) you )?)?"
    r"(?:the )?(?:(?:exact )?(?:value|result|answer) (?:of |to |for )?)?",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:[ ,?.!]+(?:please|pls|thanks|thank you|thx|for me)\b)+[ .!?]*$", re.IGNORECASE
)
# `is` asks for the value as well, but `what 24/7 is` may ask for the meaning.
_EQUALS = re.compile(
    r" *(?:(?P<sign>=|\b(?:is )?equal to|\bequals?)|\bis)(?: *\?| what| how much)?$", re.IGNORECASE
)
_TIMES_AND_DIVIDED = "\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}"
_TOKEN = re.compile(rf"[a-z]+|[^a-z0-9 +\-*/^().,?!=%:'°√²³µμ{_TIMES_AND_DIVIDED}]")
_TYPOGRAPHY = str.maketrans({"\N{MINUS SIGN}": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})
_LINK = re.compile(" (?:to|into|in|as) |how many ")
_SPACES = re.compile(" +")
_DIGIT = re.compile("[0-9]")

_POLITE_WORDS_TEXT = """
hi hey hello ok okay so now then also and please pls can could would will you tell show give me
do know help calculate compute evaluate solve work out figure convert what whats s is are does
get when if find how much far long tall heavy hot cold big fast the exact value result answer of
to for thanks thank thx equal equals
"""
_POLITE_WORDS = frozenset(_POLITE_WORDS_TEXT.split())
_COUNTS = NUMBER_WORDS | {"a", "an"}
_VOCABULARY = frozenset(
    _POLITE_WORDS
    | ARITHMETIC_WORDS
    | ORDINAL_WORDS
    | NUMBER_WORDS
    | CONVERSION_WORDS
    | PERCENTAGE_WORDS
    | OPERATION_WORDS
    | {"µ", "μ"}
)


@dataclass(frozen=True, slots=True)
class DeterministicAnswer:
    """An answer that needs no model.

    Attributes:
        answer: The text to show: `4`, `36.0`, `22.22°C`.
        method: `arithmetic`, `percentage` or `unit_conversion`.
        confidence: Always 1.0; what is not certain is not answered.
    """

    answer: str
    method: str
    confidence: float = 1.0


def check_deterministic(text: str) -> DeterministicAnswer | None:
    """Answer arithmetic, a percentage or a unit conversion, or pass any other query on.

    Args:
        text: The user's whole message.

    Returns:
        The answer, or None for a query that a model should take: anything that is not such a
        question from end to end, has a second reading (`9/11`, `5 gallons to liters`), or is out of
        bounds.

    >>> check_deterministic("what is 3+4?")
    DeterministicAnswer(answer='7', method='arithmetic', confidence=1.0)
    >>> check_deterministic("Convert 86°F to Celsius").answer
    '30.00°C'
    >>> check_deterministic("what is 9/11?") is None
    True
    """
    if len(text) > MAX_QUERY_CHARS:
        return None
    text = text.strip()
    if "\n" in text:
        text = _join_lines(text)
    if "  " in text:
        text = _SPACES.sub(" ", text)
    if not text.isascii():
        text = text.translate(_TYPOGRAPHY)
    if not _may_be_exact(text):
        return None
    query, intent = _read_query(text)
    lowered = query.lower()
    if "%" in query or "per" in lowered:
        answer = answer_percentage(lowered)
        if answer is not None:
            return DeterministicAnswer(answer, "percentage")
    if _LINK.search(lowered):
        answer = answer_conversion(query)
        if answer is not None:
            return DeterministicAnswer(answer, "unit_conversion")
    answer = _answer_arithmetic(lowered, intent)
    return None if answer is None else DeterministicAnswer(answer, "arithmetic")


def _join_lines(text: str) -> str:
    """Join lines where a word stands at the break, as the parts of one message are put together.

    Between numbers and marks a line break stays, and is not answered: it may begin another sum.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    breaks = ((before.split()[-1], after.split()[0]) for before, after in pairwise(lines))
    if all(any(map(_is_plain_word, around)) for around in breaks):
        return " ".join(lines)
    return text


def _is_plain_word(token: str) -> bool:
    word = token.rstrip(",:").lower()
    return word.isalpha() and word not in NUMBER_WORDS


def _may_be_exact(text: str) -> bool:
    """Tell cheaply whether every word is one that tier 0 knows, and there is a number."""
    counted = False
    for token in _TOKEN.finditer(text.lower()):
        word = token[0]
        if word not in _VOCABULARY:
            return False
        counted = counted or word in _COUNTS
    return counted or _DIGIT.search(text) is not None


def _read_query(text: str) -> tuple[str, Intent]:
    """Strip polite words and marks at both ends, and see how plainly a calculation is asked for."""
    opening = _OPENING.match(text)
    assert opening is not None  # every part of it is optional
    verb, ask = opening.groups()
    intent = Intent.CALCULATE if verb else Intent.ASK if ask else Intent.BARE
    query = text[opening.end() :]
    if query[-1:].isalpha() or query[-1:] in {"!", "."}:
        query = _CLOSING.sub("", query)
    query = query.rstrip(" ?").rstrip(".")
    equals = _EQUALS.search(query) if query[-1:] == "=" or query[-1:].isalpha() else None
    if equals:
        query = query[: equals.start()]
        intent = Intent.CALCULATE if equals["sign"] else intent
    return query.strip(), intent


def _answer_arithmetic(query: str, intent: Intent) -> str | None:
    named = compute_operation(query, intent)
    if named is not None:
        return write_number(named)
    evaluation = evaluate(query, intent)
    if evaluation is None:
        return None
    return write_number(evaluation.value, exact=evaluation.exact)


class DeterministicTier:
    """`check_deterministic` with a bounded memory of recent queries, answers and passes alike.

    Safe to share between threads.

    Args:
        max_entries: How many distinct queries to remember; 0 for none.

    Raises:
        ConfigurationError: `max_entries` is negative.

    >>> tier = DeterministicTier()
    >>> tier.check("3+4").answer, tier.check("3+4").answer, tier.hits, tier.misses
    ('7', '7', 1, 1)
    """

    def __init__(self, max_entries: int = 1024) -> None:
        if max_entries < 0:
            raise ConfigurationError(
                f"max_entries={max_entries} makes no sense: give 0 (no memory) or more."
            )
        self._check = lru_cache(max_entries)(check_deterministic)

    def check(self, text: str) -> DeterministicAnswer | None:
        """Answer like `check_deterministic`, from memory where possible."""
        # A long text is refused faster than it is hashed, and must not fill the memory.
        return None if len(text) > MAX_QUERY_CHARS else self._check(text)

    @property
    def hits(self) -> int:
        """How many queries were found in memory."""
        return self._check.cache_info().hits

    @property
    def misses(self) -> int:
        """How many queries had to be worked out."""
        return self._check.cache_info().misses
