"""Words that point outside of a task: pronouns, `the above`, `the summary`, `the second one`.

Judged by words alone. Where a word has an innocent reading (`it takes`, `the moon`, `causes of`),
the patterns say so; in doubt the word points.
"""

import re

from octomil.routing.cues import CuedPattern, any_of
from octomil.routing.imperatives import AUXILIARIES, VERBS, word_set
from octomil.routing.masking import MASK

# `it` and `this` that point to nothing: `is it safe to`, `this year`, `this sentence: "..."`.
_FREE_PRONOUN = CuedPattern(
    word_set("it there its his her their this these following"),
    rf"""\b(?:
      what\ (?:time|day|year)\ is\ it\b
    | (?:is|was|does|would)\ it\ (?:take|cost|mean|possible|safe|legal|ok|okay|better|common|normal
      |bad|good|true|important|necessary)\b(?=\ (?:to|for|that)\b)
    | it\ (?:take|takes)\ (?=to\ |for\ )
    | (?:is|are|was|were)\ there\b | there\ (?:is|are|was|were)\b
    | \w+\ and\ (?:its|his|her|their)\b
    | this\ (?:year|week|month|morning|evening|weekend|century)\b
    | (?:this|these|the\ following)(?:\ \w+)?(?:\ \w+)?:?\ ?(?={MASK})
    )""",
)
_POINTERS = word_set(
    """
    it its itself he she him his her hers this such former latter previous previously prior
    preceding aforementioned earlier following same similarly likewise again instead another other
    others else yours there resulting accordingly thereof therefore
    """
)
_POINTS_BACK = CuedPattern(
    _POINTERS
    | word_set(
        """
        above below one ones about your just wrote gave said made used chose picked found which
        most least second third different shorter longer simpler improved revised similar better
        so way
        """
    ),
    rf"""\b(?:
      {any_of(_POINTERS)}
    | (?:above|below)(?!\ (?:\d|zero|average|sea))
    | one(?=\s*$|\s*[,.;?!]|\ (?:about|for|in|with|on|to|that|more|from|as)\b)
    | more\ about
    | (?:the|that|this|which|another|an?|best|first|last|next|other|any|worst)\ (?:\w+\ )?ones?
      (?!\ of)
    | your(?!\ (?:name|favou?rite)\b)
    | you\ (?:just|wrote|said|gave|made|used|chose|picked|found)
    | which\ (?:is|are|was|would\ be)\ (?:the\ )?(?:more|less|best|worse|worst|\w+er)
    | the\ (?:most|least)\ \w+(?=\s*$|\s*[,.;?!]|\ (?:into|to|as|and)\b)
    | (?:a|the)\ (?:second|third|different|shorter|longer|simpler|improved|revised|similar|better)
    | do\ so | that\ way | if\ so
    | (?:what|how)\ about | so\ that
    )(?![\w-])""",
)
_SEVERAL = word_set(
    """
    they them themselves their theirs these those both either neither respectively each combine
    combined combining everything together
    """
)
_POINTS_TO_SEVERAL = CuedPattern(
    _SEVERAL | word_set("all two three four five six"),
    rf"""\b(?:
      {any_of(_SEVERAL)} | all\ of\ (?:the|this|that|it) | all\ (?:two|three|four)
    | the\ (?:two|three|four|five|six)
    )\b""",
)
# `that` alone, as an object or a subject: after a verb or preposition, or before an end.
_THAT = re.compile(r"(\w+) that\b(?=(\s*$|\s*[,.;?!]|\s+\w+))")
_BEFORE_THAT = (
    VERBS
    | AUXILIARIES
    | word_set(
        """
        of to by with from on in into for about than as after before like and use using turn
        """
    )
)
# Parts and products of something, unless the task says of what: `list the causes of World War I`.
_PARTS = word_set(
    """
    causes effects plot moral advantages disadvantages benefits drawbacks pros cons similarities
    ingredients instructions highlights keywords conclusion introduction abstract documentation
    readme sequel itinerary budget schedule timeline summary translation explanation reply response
    rationale references citations limitations details complexity logo assumptions strengths
    weaknesses analogy analogies factors components epilogue prologue chorus verse ending meaning
    definition significance importance output proof counterexample outline pitch equipment lyrics
    script tools rules
    """
)
_PARTS_IN_EITHER_NUMBER = word_set(
    """
    consequence implication setting theme example step reason difference symptom treatment takeaway
    title subtitle headline tagline slogan caption test docstring comment version alternative
    variation hashtag improvement risk solution exercise flashcard problem challenge argument
    counterargument error mistake bug suggestion recommendation synonym antonym origin result
    answer cost chord color colour price material
    """
)
_NEEDS_A_WHOLE = CuedPattern(
    _PARTS
    | _PARTS_IN_EITHER_NUMBER
    | frozenset(f"{part}s" for part in _PARTS_IN_EITHER_NUMBER)
    | word_set("character characters follow main key important shopping packing subject edge"),
    rf"""(?<!'s\ )\b(?:
      {any_of(_PARTS)} | (?:{any_of(_PARTS_IN_EITHER_NUMBER)})s?
    | (?<!\d\ )characters? | follow-up
    | (?:main|key|important)\ (?:points?|ideas?|facts?|events?|people|figures?|parts?)
    | (?:shopping|packing)\ list | subject\ lines? | edge\ cases?
    )\b(?!\s+(?:of|in|on|to|for|from|between|about|behind|against|that|why|at)\b)""",
)
# A thing called `the ...` with nothing after it that says which.
_DEFINITE = re.compile(
    r"""\b[Tt]he\s
    ((?:(?!(?:of|for|in|on|to|from|between|about|with|that|at)\b)[a-z]+\s){0,3}?)([a-z]+)
    (?=\s*$|\s*[,.;?!)]|\s(?:
      into|to|as|by|is|are|was|were|using|so|and|or|but|then|than|again
    | in\ (?:more|one|two|three|simple|plain|detail|your|a|an|french|spanish|german|english|python
      |java|javascript)
    | \w+ed|held|made|found|used|won|take|mean|do|work|have|has
    )\b)""",
    re.VERBOSE,
)
_KNOWN_THING = re.compile(r"\b[Tt]he\s((?:[a-z]+\s)?)([a-z]+)\b")
_ORDINALS = word_set(
    """
    main key first second third last final best worst top next original whole entire
    remaining correct right full
    """
)
_UNIQUE = word_set(
    """
    sun moon earth sky sea ocean universe world internet web brain heart body economy
    government past future weather alphabet environment bible atmosphere equator renaissance
    holocaust stars planets rich poor elderly liver kidneys lungs skin eye ear enlightenment
    week
    """
)
# The last word of what everybody knows as `the ...`: the water cycle, the immune system.
_CONCEPTS = word_set(
    """
    age bang body cycle effect effects empire formula hypothesis law laws market method
    paradox principle ratio revolution scale system table theorem theory war wars way
    """
)
# `the author's name`, but not `the world's largest lake`.
_OWNER = re.compile(r"\bthe\s(?:[a-z]+\s)?([a-z]+)'s\s")
_DESCRIBED = word_set(
    """
    brainstorm build code compose create design develop draft draw generate give implement
    invent make outline plan prepare produce propose provide recommend show suggest tell write
    """
)
_MAKER = re.compile(
    r"who (?:wrote|invented|discovered|painted|directed|composed|founded|created|built)\s\w"
)


def names_its_object(task: str) -> bool:
    """Tell whether a task asks who made something that it names: `who wrote the Iliad?`."""
    return _MAKER.match(task.lower()) is not None


def names_what_all_know(task: str) -> bool:
    """Tell whether a task speaks of what there is one of: `why the sky is blue`."""
    return any(
        _is_known_to_all(match[1].split(), match[2]) for match in _KNOWN_THING.finditer(task)
    )


def points_to_several(task: str) -> bool:
    """Tell whether a task speaks of `them`, `both`, `the three`."""
    return _POINTS_TO_SEVERAL.may_match(task) and _POINTS_TO_SEVERAL.matches(
        _without_free_pronouns(task)
    )


def points_back(task: str, head: str, *, is_later: bool) -> bool:
    """Tell whether a task speaks of something that it does not name itself.

    Args:
        task: the task, its data masked.
        head: its verb or question word, in lower case.
        is_later: whether another task comes before it. The first may speak of `the ...` more
            freely: `a command that undoes the last commit`.
    """
    plain = _without_free_pronouns(task)
    return (
        _POINTS_BACK.matches(plain)
        or _misses_its_whole(plain, head)
        or _has_a_free_that(plain)
        or _speaks_of_the_thing(plain, head, is_later=is_later)
    )


def _without_free_pronouns(task: str) -> str:
    return _FREE_PRONOUN.pattern.sub(" ", task) if _FREE_PRONOUN.may_match(task) else task


def _misses_its_whole(plain: str, head: str) -> bool:
    if not _NEEDS_A_WHOLE.may_match(plain):
        return False
    for match in _NEEDS_A_WHOLE.pattern.finditer(plain, plain.lower().find(head) + len(head)):
        if not plain[: match.start()].rsplit(maxsplit=1)[-1][0].isupper():  # the Monty Hall problem
            return True
    return False


def _has_a_free_that(plain: str) -> bool:
    return "that" in plain and any(
        match[1].lower() in _BEFORE_THAT or not match[2].strip(" ,.;?!")
        for match in _THAT.finditer(plain)
    )


def _speaks_of_the_thing(plain: str, head: str, *, is_later: bool) -> bool:
    if "he" not in plain or (head in _DESCRIBED and not is_later) or names_its_object(plain):
        return False
    if is_later and any(match[1] not in _UNIQUE for match in _OWNER.finditer(plain)):
        return True
    for match in _DEFINITE.finditer(plain):
        before, noun = match[1].split(), match[2]
        if _is_known_to_all(before, noun):
            continue
        if not is_later and plain[: match.start()].endswith(("of ", "in ")):
            continue
        if is_later or _ORDINALS.issuperset(before):
            return True
    return False


def _is_known_to_all(before: list[str], noun: str) -> bool:
    if noun in _UNIQUE or not _UNIQUE.isdisjoint(before):
        return True
    return bool(before) and noun in _CONCEPTS and before[0] not in _ORDINALS
