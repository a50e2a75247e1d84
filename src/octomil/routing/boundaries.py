"""Where one task ends and the next begins inside a sentence: `explain X, then write Y and list Z`.

A boundary needs a verb that people give to a chat model, in the imperative, or a question word,
and must not be open to another reading: in `a script to fetch a page and list its links`, `list`
belongs to the script.
"""

import re

from octomil.routing.imperatives import (
    AUXILIARIES,
    CLEAR_VERBS,
    CONTINUING_VERBS,
    QUESTION_WORDS,
    SPEAKING_VERBS,
    VERBS,
    is_question,
    word_set,
)
from octomil.routing.masking import MASK

_REPORTING = SPEAKING_VERBS | word_set("analyze analyse determine find identify show teach tell")
_DETERMINERS = word_set(
    """
    a an the my our your this that these those some any all me us it them how what why who
    when where which whether one two three four five six seven eight nine ten
    """
)
_TAKES_TO = word_set("compare convert translate")
# Said of the thing being made, or to somebody else.
_NOT_ASKED = frozenset(
    [(verb, who) for verb in ("tell", "show", "teach", "give") for who in ("him", "her", "them")]
    + [("make", what) for what in ("it", "them", "sure", "this", "that", "the")]
    + [("tell", who) for who in ("nobody", "everyone", "people", "someone", "anyone", "everybody")]
)
_NO_OBJECT = word_set("and or of but nor is are was were")

# Spaces are counted everywhere, so that a flood of them costs no more than other text.
_LINKS = (
    r"(?:(?:and|then|also|plus|next|finally|lastly|afterwards|after\ that|additionally"
    r"|in\ addition)\b,?\s{1,8})"
)
ASKING = (
    r"(?:(?:please|kindly)\s+|(?:can|could|would|will)\ you\s+(?:(?:please|also|then|kindly)\s+)?"
    r"|i(?:'d|\ would)\ like\ you\ to\s+|i\ (?:want|need)\ you\ to\s+|help\ me\s+(?:to\s+)?"
    r"|i(?:'d|\ would)\ like\ to\ know\s+|i\ want\ to\ know\s+)*"
)
"""Ways to ask for something, before the verb or question word; a pattern in verbose mode."""

_TRANSITION = re.compile(
    rf"""(?:(?P<comma>,)\s{{0,8}} | \s{{1,8}}(?=(?:and|then|also|plus)\b)) (?P<links>{_LINKS}*)
    (?P<task>{ASKING}(?P<word>[a-z][\w']*)) (?=(?P<next>\s+\S+)?)""",
    re.IGNORECASE | re.VERBOSE,
)
_SEQUEL = re.compile(
    r"\b(?:then|also|finally|lastly|next|after|additionally|addition)\b", re.IGNORECASE
)
# An infinitive, not a place, a person, a language or a unit.
_INFINITIVE = re.compile(
    rf"""\bto\s+(?!(?:
      the|an?|my|our|your|his|her|its|their|this|that|these|me|us|you|him|it|them|each
    | french|german|spanish|italian|english|chinese|japanese|russian|korean|portuguese|latin|dutch
    | celsius|fahrenheit|kelvin|km|kg|cm|mm|ml|binary|decimal|hex|usd|eur
    )\b|[A-Z0-9{MASK}]|[a-z]+(?<!s)s\b)[a-z]""",
    re.VERBOSE,
)
_RELATIVE = re.compile(
    r"\b(?:that|which|who|whom|where|whose)\s+(?!(?:\w+ly\s+)?(?:\w+(?<!s)s|had|\w+ed)\b)",
    re.IGNORECASE,
)
_MODAL = re.compile(
    r"""\b(?:
      can|could|should|will|would|must|may|might|shall|cannot|let|lets|helps?|makes?|do|does|did|if
    | whether|unless|before|without|'ll|i'd|said|told|asked|asks|says
    )\b|\w'll\b""",
    re.IGNORECASE | re.VERBOSE,
)
_EMBEDDED = re.compile(r"\b(?:how|what|why|when|where|who|which)\b", re.IGNORECASE)
_SINGULAR = re.compile(r"\b(?:is|was|has|does)\b|\b(?:works|means|happens|work)\s*$", re.IGNORECASE)
_PROGRAM = re.compile(
    r"\b(?:function|script|program|code|query|class|app|regex|command|method|one-liner)\b",
    re.IGNORECASE,
)
# What only adds to the task before it.
_ADDENDUM = re.compile(
    r"\w+\s+(?:me\s+)?(?:\w+\s+){0,2}(?:examples?|reasons?|details|explanations?|reasoning|why"
    r"|how)\W*$",
    re.IGNORECASE,
)
_PAIRING = re.compile(r"\b(?:between|both|either|whether|compare|versus|vs)\b", re.IGNORECASE)
_SAME_SUBJECT = re.compile(
    r"\b(?:its?|he|she|him|his|hers?|they|them|theirs?|this|that|these|those|there)\b",
    re.IGNORECASE,
)
_OWN_SUBJECT = re.compile(
    rf"[0-9{MASK}]|(?<=\w )(?!I\b)[A-Z]|\b(?:an?|of)\s"
    r"|^(?i:who)\s+(?:wrote|invented|discovered|painted)\s"
)
# A form at the end of the text that may be meant for all of its tasks.
_STYLE = re.compile(
    r"""\b(?:
      in\ (?:simple|plain|layman'?s|detail|brief|short|one|two|three|\d+|bullet|json|markdown
      |my\ own|everyday|a\ (?:table|nutshell|few|single)|[A-Z][a-z]+(?:ese|ish|an|ch)$)
    | for\ (?:an?\ |my\ )?(?:\w+[-\ ]year|kids?|child|children|beginners?|layman|\d+[-\ ]year)
    | like\ i | as\ if | briefly | step\ by\ step | concisely | separately | respectively | each
    | both | under\ \d+ | at\ most\ \d+
    )\b[^,]*$""",
    re.IGNORECASE | re.VERBOSE,
)


_MAX_CANDIDATES = 16
"""Places of one sentence that are looked at; whatever has more asks for no few things."""


class Boundary:
    """A place inside a sentence where a task may begin.

    Attributes:
        start: where the earlier task ends, before the connecting words.
        task: where the later task begins, after them.
        head: where the verb or question word of the later task begins.
        word: that word, in lower case.
        linked: whether `and`, `then` and the like stand between the two.
    """

    __slots__ = ("comma", "head", "linked", "next", "sequel", "start", "task", "word")

    def __init__(self, match: re.Match[str]) -> None:
        self.start = match.start()
        self.task = match.start("task")
        self.head = match.start("word")
        self.word = match["word"].lower()
        self.comma = match["comma"] is not None
        self.linked = bool(match["links"])
        self.sequel = self.linked and _SEQUEL.search(match["links"]) is not None
        self.next = (match["next"] or "").strip()


def find_boundaries(masked: str, start: int, end: int, head: int) -> list[Boundary]:
    """Find where the sentence `masked[start:end]` turns to another task.

    Args:
        masked: the text with its data masked.
        start: where the sentence begins.
        end: where it ends.
        head: where its own verb or question word begins.

    Returns:
        The boundaries, in order; none where a single remark at the end may speak of all tasks.
    """
    found: list[Boundary] = []
    candidates = 0
    for match in _TRANSITION.finditer(masked, start, end):
        word = match["word"].lower()
        if word not in VERBS and word not in QUESTION_WORDS:
            continue
        candidates += 1
        if candidates > _MAX_CANDIDATES:
            return []
        boundary = Boundary(match)
        before = masked[head : boundary.start]
        if _is_boundary(before, boundary, masked[boundary.head : end]):
            found.append(boundary)
            head = boundary.head
    while found and not found[-1].linked and found[-1].word not in CLEAR_VERBS:
        found.pop()  # `write a story, name the hero Tom`
    if found and found[-1].word in _REPORTING and _STYLE.search(masked, found[-1].head, end):
        return []
    return found


def _is_boundary(before: str, boundary: Boundary, rest: str) -> bool:
    first, _, object_ = before.partition(" ")
    if not object_.strip():
        return False  # `compare and contrast A and B` share one object
    if boundary.word in QUESTION_WORDS:
        return _turns_to_a_question(first.lower(), before, boundary, rest)
    following = boundary.next.rstrip(",.;?!").lower()
    if not _has_own_object(boundary, following) or _ADDENDUM.match(rest):
        return False
    if following in ("me", "us"):
        return first.lower() not in AUXILIARIES and not _MODAL.search(before)
    if _is_inside_a_clause(first.lower(), before):
        return _leaves_a_program(before, boundary)
    if _EMBEDDED.search(before, len(first)) and not _SINGULAR.search(before):
        return _is_definite_object(boundary) and (boundary.comma or boundary.sequel)
    if boundary.sequel or boundary.word in CLEAR_VERBS or boundary.word in CONTINUING_VERBS:
        return True
    return following in _DETERMINERS or _is_definite_object(boundary)


def _has_own_object(boundary: Boundary, following: str) -> bool:
    if not following or following in _NO_OBJECT or boundary.next.startswith(("(", ":", "=")):
        return False
    return (boundary.word, following) not in _NOT_ASKED


def _is_inside_a_clause(first: str, before: str) -> bool:
    """Tell whether a verb may go on with a clause: `a tool to find ...`, `one that finds ...`."""
    if first not in _TAKES_TO and _INFINITIVE.search(before):
        return True
    return _RELATIVE.search(before) is not None or _MODAL.search(before) is not None


def _leaves_a_program(before: str, boundary: Boundary) -> bool:
    """Tell whether the verb cannot be one more thing that the program in question does."""
    if not (boundary.comma or boundary.sequel) or not _PROGRAM.search(before):
        return False
    return boundary.word in SPEAKING_VERBS or boundary.next[0].isdigit() or boundary.next[0] == MASK


def _is_definite_object(boundary: Boundary) -> bool:
    first = boundary.next[0]
    return first.isdigit() or first.isupper() or first == MASK or boundary.next in ("a", "an")


def _turns_to_a_question(first: str, before: str, boundary: Boundary, rest: str) -> bool:
    """Tell `what is X and who wrote Y?` from `explain what X is and how it works`."""
    if not boundary.linked or _PAIRING.search(before):
        return False
    if _SAME_SUBJECT.search(rest) or not _OWN_SUBJECT.search(rest):
        return False  # `when did he start and when did he stop` is one question
    if first in QUESTION_WORDS:
        return is_question(rest)
    # In a clause of `explain` the verb would come last: `and what the square root is`.
    return boundary.next.lower() in AUXILIARIES and rest.rstrip().endswith("?")
