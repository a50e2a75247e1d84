"""Whether a prompt is plainly simple: small talk, a bare follow-up, a short question for a fact.

Only what is sure counts. A foreign word may look like an English one (German `was`), a question of
three words may be an open problem, and a line of code may follow `what is`: such prompts are not
simple, whatever they begin with.
"""

import re
from collections.abc import Mapping, Sequence

from octomil.routing.imperatives import AUXILIARIES, QUESTION_WORDS, VERBS
from octomil.routing.lexicon import (
    CODING,
    CONDITIONS,
    COURTESIES,
    ERRANDS,
    FACTUAL,
    FOLLOW_UPS,
    OPENERS,
    PRONOUNS,
    QUANTITY,
    REASONING,
    SMALL_TALK,
    STOPWORDS,
    TECHNICAL,
    WORKED_OUT,
)

IN_PASSING = 2
"""How simple small talk and bare follow-ups are."""

FOR_A_FACT = 1
"""How simple a short question for a fact, or a small errand, is."""

MOST_WORDS = 14
"""No simple prompt has more."""

_COURTESY_WORDS, _NAME_WORDS, _LONG_WORD = 8, 2, 9
_FOLLOW_UP_WORDS = 5
_ASKING = VERBS | QUESTION_WORDS | AUXILIARIES - {"was"} | REASONING | CODING | TECHNICAL | ERRANDS
_KNOWN = SMALL_TALK | STOPWORDS | PRONOUNS
_OPEN = CONDITIONS | WORKED_OUT
# Brackets, operators and calls, but not `word(s)`: what has them is read closely, not looked up.
_NOTATION = re.compile(r"[\[\]{}\\^=<>|*~`]|//|\w\((?!e?s\))")


def is_follow_up(tokens: Sequence[str], distinct: Mapping[str, None]) -> bool:
    """Tell whether a few words only carry a conversation on (`why?`, `go on`): they name nothing.

    Args:
        tokens: the words of a prompt, in lower case.
        distinct: each of them once.
    """
    return 0 < len(tokens) <= _FOLLOW_UP_WORDS and FOLLOW_UPS.issuperset(distinct)


def simplicity_of(prose: str, tokens: Sequence[str], distinct: Mapping[str, None]) -> int:
    """Return how simple a prompt of at most `MOST_WORDS` words is.

    Args:
        prose: the prompt in lower case.
        tokens: its words in order.
        distinct: each of them once.

    Returns:
        `IN_PASSING`, `FOR_A_FACT`, or 0 for what is not surely simple.
    """
    if not tokens:
        return 0
    if tokens[0] in SMALL_TALK and (
        SMALL_TALK.issuperset(distinct) or _is_courtesy(tokens, distinct)
    ):
        return IN_PASSING
    question = _without_openers(tokens)
    if not _asks_for_little(question) or not _OPEN.isdisjoint(question):
        return 0
    return 0 if _NOTATION.search(prose) else FOR_A_FACT


def _is_courtesy(tokens: Sequence[str], distinct: Mapping[str, None]) -> bool:
    """Tell whether a few words greet or thank somebody (`Hi Anna`), and ask for nothing."""
    if tokens[0] not in COURTESIES or len(tokens) > _COURTESY_WORDS:
        return False
    names = distinct.keys() - _KNOWN
    return (
        len(names) <= _NAME_WORDS
        and _ASKING.isdisjoint(distinct)
        and all(len(name) <= _LONG_WORD for name in names)
    )


def _without_openers(tokens: Sequence[str]) -> Sequence[str]:
    """Leave out `could you`; at least the last word stays."""
    at = 0
    while at < len(tokens) - 1 and tokens[at] in OPENERS and tokens[at] not in ERRANDS:
        at += 1
    return tokens[at:]


def _asks_for_little(question: Sequence[str]) -> bool:
    """Tell whether a question or request begins as one for a fact or a small errand does."""
    first, second = question[0], question[1] if len(question) > 1 else ""
    if first == "tell" and second in ("me", "us") and len(question) > 2:
        return question[2] != "about" and (question[2] != "how" or _asks_how_much(question[2:]))
    if first == "how":
        return _asks_how_much(question) or not ERRANDS.isdisjoint(question)
    if first in ("in", "on", "at"):
        return second in FACTUAL
    if first == "name":  # which is German as well
        return not STOPWORDS.isdisjoint(question)
    return first in FACTUAL or first in ERRANDS


def _asks_how_much(question: Sequence[str]) -> bool:
    return len(question) > 1 and question[1] in QUANTITY
