"""Whether a task can be answered on its own, or leans on the answer to an earlier one.

Judged by words alone, and in doubt it leans: a task that waits needlessly costs a moment, one that
runs beside the task it needs gives a wrong answer.
"""

import re
from collections.abc import Sequence

from octomil.routing.anaphora import (
    names_its_object,
    names_what_all_know,
    points_back,
    points_to_several,
)
from octomil.routing.imperatives import (
    AUXILIARIES,
    CONTINUING_VERBS,
    QUESTION_WORDS,
    VERBS,
    word_set,
)
from octomil.routing.masking import MASK
from octomil.routing.qualifiers import LANGUAGES, without_qualifiers

SEVERAL = -1
"""What `find_support` returns for a task that leans on more than one other."""

_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
# `the summary`, but not `the capital of Peru`, which says which.
_NAMED_AGAIN = re.compile(
    r"\b(?:the|that|this|said)\s((?:[a-z]+\s)?(?!(?:of|in|for|between|from)\b)[a-z]+)\b"
    r"(?!\sof\b)(?!\s(?:in|for|between|from)\s\S)"
)
_CHRISTENED = re.compile(r"\b(?:called|named)\s([A-Z]\w+)")
_VARIABLE = re.compile(r"(?<![A-Za-z'])[b-hj-z](?![A-Za-z'])")
# What the answer to `summarize ...` may be called later on, and how the task begins.
_PRODUCTS = {
    "summary": "summar",
    "translation": "translat",
    "explanation": "expla",
    "description": "descri",
    "definition": "defin",
    "comparison": "compar",
    "calculation": "calculat",
    "conversion": "convert",
    "code": "function script program class query",
}

# A number, a name, or words that say what a task is about.
_ANCHOR = re.compile(
    rf"[0-9{MASK}]|(?<=\w )(?!I\b)[A-Z]"
    r"|\b(?:an?|of|in|for|on|to|between|from|about|with|than|like)\s"
    r"|\bthe\s[a-z]+\s(?!(?:is|are|was|were|do|does|did|have|has)\b)[a-z]{3,}"
)
_TOPIC = re.compile(
    rf"[0-9{MASK}]|(?<=\w )(?!I\b)[A-Z]"
    r"|\b(?:about|for|of|on|to|that|in|with|using|between|from|called|named|whose|which|who|why"
    r"|how|what|where|joke|riddle|pun|fact|tongue twister)\b"
)
_MAKING = word_set(
    """
    brainstorm build code compose create design develop draft draw generate give implement
    invent list make name outline plan prepare produce propose provide recommend show
    suggest tell write
    """
)
# These take what is there already, unless they say what.
_CHOOSING = word_set(
    """
    calculate check choose compute convert correct determine edit estimate find fix identify
    improve pick rank rate refactor review rewrite select solve sort
    """
)
# `three risks`, `music`: of what?
_BARE = re.compile(
    r"\s(?:me\s|us\s)?"
    r"(?:(?:two|three|four|five|six|seven|eight|nine|ten|some|few|any|all|several|many|\d{1,6}"
    r"|possible|potential|main|more)\s)*[a-z]+\s?[.!?]?\s?$"
)
_INDEFINITE = re.compile(r"\s(?:me\s|us\s)?(?:an?|some|short|brief)\s")
_PAST = re.compile(r"\b(?:did|was|were|had|won|took|\w{2,30}ed)\b")
_OWN_ACTION = re.compile(r"\b(?:do|can|should|would|could|must) (?:i|we|you)\b")
_PREPOSITIONS = word_set(
    """
    to in into as with for using by from on at so like without under further more again why
    how
    """
)
# A name, data, or a number to work with: `20% of 350`, but not `3 ideas` or `a SQL query`.
_OWN_DATA = re.compile(
    rf"{MASK}|(?<=\w )(?!(?:I|{LANGUAGES})\b)[A-Z]"
    r"|\d\s?(?:%|[*/^+=x-]\s?\d)|\b(?:above|below|over|under|than)\s\d"
)
_FIGURING = CONTINUING_VERBS | word_set("calculate compute convert factor solve")
_WHAT_HAPPENS = re.compile(
    r"what\s(?:can|could|may|might|must|should|will|would|changes|follows|happens)\b"
)
# `what food is best?`: for what? `when to visit`: where?
_UNFINISHED = re.compile(
    r"""\b(?:
      allowed | best | better | enough | needed | required | worse | worst
    | (?:how|when|where|what|whether)\sto\s(?:get\s)?[a-z]+(?:\s(?:first|around|[a-z]{2,20}ly))?
    )\s?[.?!]?$""",
    re.VERBOSE,
)
# `explain why people laugh` leaves open at what; `explain how vaccines work` is about vaccines.
_ACCOUNT = re.compile(
    r"\w+\s(?:(?:me|us|briefly|exactly|clearly|also|to\s(?:me|us))\s)*"
    r"(?P<word>why|how|what|when|where|who|which|whether)\s(?!to\b)(?P<rest>.+)"
)
_NAME = re.compile(rf"[0-9{MASK}]|(?<=\w )(?!I\b)[A-Z]")
_INDEFINITE_NAME = re.compile(r"\ban?\s\w")
_IN_GENERAL = {
    "how": re.compile(r"(?:\w+\s){1,4}(?:work|works|function|functions|operate|operates)\b"),
    "what": re.compile(r"(?:\w+\s){1,3}(?:is|are|means?|stands?\sfor)\b"),
}
"""Questions for the nature of a thing, which they name."""
_CLAUSE = re.compile(r"\b(?:what|how|why|when|where|who|which|whether|the|an?)\s\w")
_EMPTY = (
    VERBS
    | AUXILIARIES
    | QUESTION_WORDS
    | word_set(
        """
        i me you we us it a an the to in of for and or so please also more about do think
        recommend well detail details briefly too now first next should there
        """
    )
)
# Words of questions that name no thing: `what happens inside?`
_VAGUE = _EMPTY | word_set(
    """
    after afterwards ahead bad before begin best better change come cost different else end ever
    fail finish follow go goes good happen happened happening happens hard help important inside
    last like long look matter mean more most much necessary need needed often outside possible
    really start stop take then today tomorrow usually want will work works worth wrong yet
    """
)


def find_support(
    part: str, head: str, earlier: Sequence[str], *, is_next_step: bool = False
) -> int | None:
    """Find which earlier task a task leans on.

    Args:
        part: the task, its data masked.
        head: its verb or question word, in lower case.
        earlier: the tasks before it, their data masked; none for the first task.
        is_next_step: whether `then` or the like comes before it. Such a task leans on the one
            before, unless it brings a name, a number or data of its own.

    Returns:
        The index of the earlier task, `SEVERAL` where it is more than one, or None where the task
        can be answered on its own. For the first task, anything but None means that the text points
        outside of itself.

    >>> find_support("translate it to German", "translate", ["Write a haiku", "Name a city"])
    1
    """
    part = " ".join(part.split())
    last = len(earlier) - 1
    if points_to_several(part):
        return last if len(earlier) == 1 else SEVERAL
    named = _find_named(part, earlier)
    if named is not None:
        return named
    # With nothing before it, a vague task is only vague.
    leans = _leans_on_the_last(part, head, is_next_step) if earlier else _points(part, head)
    return last if leans else None


def _points(part: str, head: str) -> bool:
    return points_back(part, head, is_later=False) or _lacks_an_object(part, head)


def _leans_on_the_last(part: str, head: str, is_next_step: bool) -> bool:
    core = without_qualifiers(part)
    return (
        points_back(core, head, is_later=True)
        or _lacks_an_object(core, head)
        or _UNFINISHED.search(core) is not None
        or _accounts_for_something(core, head)
        or (is_next_step and not _brings_its_own_data(core, head))
        or _lacks_a_topic(core, head, is_qualified=core != part)
    )


def _accounts_for_something(part: str, head: str) -> bool:
    """Tell whether `explain why people laugh` leaves open at what: it has no name of its own."""
    if head not in VERBS:
        return False
    match = _ACCOUNT.match(part, part.lower().find(head))
    if match is None or _NAME.search(part) or names_what_all_know(match["rest"]):
        return False
    if match["word"] == "why":
        return True
    in_general = _IN_GENERAL.get(match["word"])
    if in_general is not None and in_general.match(match["rest"]):
        return False
    return _INDEFINITE_NAME.search(match["rest"]) is None


def _brings_its_own_data(part: str, head: str) -> bool:
    if head in _FIGURING and any(character.isdigit() for character in part):
        return True
    return _OWN_DATA.search(part) is not None


def _find_named(part: str, earlier: Sequence[str]) -> int | None:
    """Find the latest earlier task that names, or makes, a thing that this one speaks of."""
    variables = frozenset(_VARIABLE.findall(part))
    nouns = [
        noun
        for match in _NAMED_AGAIN.finditer(part.lower())
        for noun in match[1].split()
        if len(noun) > 3
    ]
    for index in range(len(earlier) - 1, -1, -1):
        before = earlier[index]
        if variables and not variables.isdisjoint(_VARIABLE.findall(before)):
            return index
        christened = _CHRISTENED.search(before) if "ed" in before else None
        if christened and christened[1] in _WORD.findall(part):
            return index
        if nouns and _mentions_any(before.lower(), nouns):
            return index
    return None


def _mentions_any(before: str, nouns: Sequence[str]) -> bool:
    return any(_mentions(before, noun) for noun in nouns)


def _mentions(before: str, noun: str) -> bool:
    stem = noun.removesuffix("s")
    return any(word.startswith(stem) for word in _WORD.findall(before)) or any(
        product in before for product in _PRODUCTS.get(noun, "").split()
    )


def _lacks_an_object(part: str, head: str) -> bool:
    """Tell whether nothing is said about what to explain, translate, ..."""
    lowered = part.lower()
    words = _WORD.findall(lowered)
    if MASK not in part and all(word in _EMPTY for word in words):
        return True
    if head not in VERBS:
        return False
    if head in CONTINUING_VERBS:
        return MASK not in part and sum(word.isdigit() for word in words) < 2
    if head in _CHOOSING and not _TOPIC.search(part):
        return True
    rest = lowered[lowered.find(head) + len(head) :]
    after = rest.split(None, 1)
    if not after:
        return True
    return after[0].rstrip(",") in _PREPOSITIONS and MASK not in part and not _CLAUSE.search(rest)


def _lacks_a_topic(part: str, head: str, *, is_qualified: bool) -> bool:
    """Tell whether `write a title` or `who won?` says too little to be answered alone."""
    lowered = part.lower()
    if head in _MAKING or (is_qualified and head in VERBS):
        rest = part[lowered.find(head) + len(head) :]
        if _BARE.match(rest):
            return True
        return _INDEFINITE.match(rest) is not None and not _TOPIC.search(part)
    if head in VERBS or _ANCHOR.search(part):
        return False
    words = _WORD.findall(lowered)
    if _WHAT_HAPPENS.match(lowered) or _VAGUE.issuperset(words):
        return True
    if _OWN_ACTION.search(lowered) and sum(word not in _EMPTY for word in words) < 2:
        return True
    asks_for_some = head in ("who", "which", "whose") or lowered.startswith(
        ("how many", "how much", "how long", "how often")
    )
    return (asks_for_some or _PAST.search(lowered) is not None) and not names_its_object(part)
