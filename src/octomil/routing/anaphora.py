"""Words that point outside of a task: pronouns, `the above`, `the summary`, `the second one`.

Judged by words alone. Where a word has an innocent reading (`it takes`, `the moon`, `causes of`),
the patterns say so; in doubt the word points.
"""

import re

from octomil.routing.imperatives import AUXILIARIES, VERBS, word_set
from octomil.routing.masking import MASK

# `it` and `this` that point to nothing: `is it safe to`, `this year`, `this sentence: "..."`.
_FREE_PRONOUN = re.compile(
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
    re.IGNORECASE | re.VERBOSE,
)
_POINTS_BACK = re.compile(
    r"""\b(?:
      it | its | itself | he | she | him | his | hers? | this | such | former | latter
    | (?:above|below)(?!\ (?:\d|zero|average|sea)) | previous | previously | prior | preceding
    | aforementioned | earlier | following | same | similarly | likewise | again | instead | another
    | others? | one(?=\s*$|\s*[,.;?!]|\ (?:about|for|in|with|on|to|that|more|from|as)\b) | else
    | more\ about
    | (?:the|that|this|which|another|an?|best|first|last|next|other|any|worst)\ (?:\w+\ )?ones?
      (?!\ of)
    | your(?!\ (?:name|favou?rite)\b) | yours
    | you\ (?:just|wrote|said|gave|made|used|chose|picked|found)
    | which\ (?:is|are|was|would\ be)\ (?:the\ )?(?:more|less|best|worse|worst|\w+er)
    | the\ (?:most|least)\ \w+(?=\s*$|\s*[,.;?!]|\ (?:into|to|as|and)\b)
    | (?:a|the)\ (?:second|third|different|shorter|longer|simpler|improved|revised|similar|better)
    | there | resulting | accordingly | thereof | therefore | do\ so | that\ way | if\ so
    | (?:what|how)\ about | so\ that
    )(?![\w-])""",
    re.IGNORECASE | re.VERBOSE,
)
_POINTS_TO_SEVERAL = re.compile(
    r"""\b(?:
      they | them | themselves | their | theirs | these | those | both | either | neither
    | respectively | each | combined? | combining | all\ of\ (?:the|this|that|it)
    | all\ (?:two|three|four) | everything | together | the\ (?:two|three|four|five|six)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
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
_NEEDS_A_WHOLE = re.compile(
    r"""(?<!'s\ )\b(?:
      causes | effects | consequences? | implications? | (?<!\d\ )characters? | plot | settings?
    | themes? | moral | examples? | steps? | reasons? | advantages | disadvantages | benefits
    | drawbacks | pros | cons | differences? | similarities | symptoms? | treatments?
    | ingredients | instructions | takeaways? | highlights | keywords | conclusion | introduction
    | (?:main|key|important)\ (?:points?|ideas?|facts?|events?|people|figures?|parts?) | abstract
    | (?:sub)?titles? | headlines? | taglines? | slogans? | captions? | tests? | docstrings?
    | comments | documentation | readme | sequel | follow-up | versions? | alternatives?
    | variations? | itinerary | (?:shopping|packing)\ list | budget | schedule | timeline
    | subject\ lines? | hashtags? | summary | translation | explanation | reply | response
    | rationale | references | citations | limitations | details | complexity | logo
    | improvements? | risks? | solutions? | exercises? | assumptions | flashcards? | problems?
    | challenges? | arguments? | counterarguments? | strengths | weaknesses | errors? | mistakes?
    | bugs? | edge\ cases? | suggestions? | recommendations? | analog(?:y|ies) | factors
    | components | epilogue | prologue | chorus | verse | ending | synonyms? | antonyms? | meaning
    | definition | significance | importance | origins? | output | results? | answers? | proof
    | counterexample | outline | costs? | pitch | chords? | colou?rs? | equipment | lyrics | script
    | prices? | materials? | tools | rules
    )\b(?!\s+(?:of|in|on|to|for|from|between|about|behind|against|that|why|at)\b)""",
    re.IGNORECASE | re.VERBOSE,
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


def points_to_several(task: str) -> bool:
    """Tell whether a task speaks of `them`, `both`, `the three`."""
    return _POINTS_TO_SEVERAL.search(_without_free_pronouns(task)) is not None


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
        _POINTS_BACK.search(plain) is not None
        or _misses_its_whole(plain, head)
        or _has_a_free_that(plain)
        or _speaks_of_the_thing(plain, head, is_later=is_later)
    )


def _without_free_pronouns(task: str) -> str:
    return _FREE_PRONOUN.sub(" ", task)


def _misses_its_whole(plain: str, head: str) -> bool:
    for match in _NEEDS_A_WHOLE.finditer(plain, plain.lower().find(head) + len(head)):
        if not plain[: match.start()].rsplit(maxsplit=1)[-1][0].isupper():  # the Monty Hall problem
            return True
    return False


def _has_a_free_that(plain: str) -> bool:
    return any(
        match[1].lower() in _BEFORE_THAT or not match[2].strip(" ,.;?!")
        for match in _THAT.finditer(plain)
    )


def _speaks_of_the_thing(plain: str, head: str, *, is_later: bool) -> bool:
    if names_its_object(plain) or (head in _DESCRIBED and not is_later):
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
