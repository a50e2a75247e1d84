"""Large patterns, looked for only where a word stands that they cannot match without."""

import re
from functools import lru_cache

_WORD = re.compile("[a-z]+")
_FOLDED = str.maketrans(
    {"\N{LATIN SMALL LETTER LONG S}": "s", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)
"""Letters that a pattern which ignores case takes for others, and `lower` leaves as they are."""


class CuedPattern:
    """A pattern that is looked for only in texts with one of the words it cannot match without.

    A large pattern takes ten times as long as finding out that none of its words are there.

    Args:
        cues: words, in lower case, of which every match has at least one.
        pattern: the pattern, verbose; case is ignored.
    """

    def __init__(self, cues: frozenset[str], pattern: str) -> None:
        self.cues = cues
        self.pattern = re.compile(pattern, re.IGNORECASE | re.VERBOSE)

    def may_match(self, text: str) -> bool:
        """Tell cheaply whether it is worth looking."""
        return not self.cues.isdisjoint(_words_of(text))

    def matches(self, text: str) -> bool:
        """Tell whether the pattern is somewhere in a text."""
        return self.may_match(text) and self.pattern.search(text) is not None


@lru_cache(16)
def _words_of(text: str) -> frozenset[str]:
    """Return the words of a text in lower case; one task is asked about several times in a row."""
    lowered = text.lower()
    return frozenset(_WORD.findall(lowered if lowered.isascii() else lowered.translate(_FOLDED)))


def any_of(words: frozenset[str]) -> str:
    """Return an alternation of words, for a pattern."""
    return "|".join(sorted(words))
