"""The words that requests begin with: what people tell a chat model to do, and how they ask."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text.

    >>> sorted(word_set("tell show"))
    ['show', 'tell']
    """
    return frozenset(text.split())


CLEAR_VERBS = word_set(
    """
    analyze analyse brainstorm calculate classify compose compute convert create define derive
    describe determine discuss elaborate evaluate explain generate give identify illustrate
    interpret invent justify paraphrase produce proofread propose provide prove recite recommend
    rephrase simplify solve suggest summarise summarize teach tell translate
    """
)
_NOUN_LIKE_VERBS = word_set(
    """
    answer build check choose code compare compile contrast correct debug design develop draft draw
    edit estimate factor find fix implement improve list make name outline pick plan prepare rank
    rate refactor research review rewrite select show sort spell write
    """
)
# These work on something that is already there.
CONTINUING_VERBS = word_set("add divide double expand multiply round shorten subtract")
VERBS = CLEAR_VERBS | CONTINUING_VERBS | _NOUN_LIKE_VERBS
QUESTION_WORDS = word_set(
    """
    what what's whats who who's whose whom where where's when why how how's which
    """
)
AUXILIARIES = word_set(
    """
    is are was were do does did can could should would will has have had am isn't aren't
    doesn't don't didn't can't
    """
)
SPEAKING_VERBS = word_set(
    """
    define describe discuss explain recommend suggest summarise summarize
    """
)
_QUANTITY = word_set("many much long far old tall big fast often deep heavy hot cold come")
_FOUND_BY = word_set(
    """
    wrote invented discovered painted won directed composed founded created causes caused
    makes made happens happened built designed played sang said
    """
)


def is_question(segment: str) -> bool:
    """Tell whether a segment that begins with a question word asks something.

    >>> is_question("how many moons does Mars have"), is_question("when I was young")
    (True, False)
    """
    words = segment.split(None, 2)
    if len(words) < 2:
        return False
    if segment.rstrip().endswith("?") or words[0].lower() in (
        "what's",
        "who's",
        "where's",
        "whats",
    ):
        return True
    second = words[1].lower()
    return second in AUXILIARIES or second in _QUANTITY or second in _FOUND_BY
