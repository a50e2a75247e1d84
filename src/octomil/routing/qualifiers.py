"""Phrases that say for whom, with what, when or in which form, but not of what.

`write a version for kids in French` needs something to make a version of; `list the causes of World
War I` does not. Only common words and numbers qualify: `a visa for Peru` says what it is about.
"""

import re

# These are for something: `a slogan for a bike shop`, but not `a slogan for a poster`.
_PURPOSE = re.compile(
    r"""\b(?:gifts?|names?|nicknames?|recipes?|regex|slogans?|synonyms?|taglines?)\sfor\san?\s
    (?!(?:\w+\s)?(?:adult|banner|beginner|billboard|blog|book|campaign|card|child|crowd|family
      |friend|group|magazine|party|poster|shirt|start|teenager|website)\b)
    """,
    re.VERBOSE,
)
# A name, a number alone or quoted data ends the phrase, and stays.
_CIRCUMSTANCE = re.compile(
    r"""\s(?:at|during|for|over|per|than|throughout|until|using|via|with|within|without)
    (?:\s(?!(?:
        about | against | and | as | at | behind | between | but | by | called | from | in | into
      | named | of | on | or | that | then | to | which | who | whose
      )\b)
      (?:[a-z][a-z'-]*(?![\w'-]) | \d+(?=\s[a-z]))
    )+""",
    re.VERBOSE,
)
_AUDIENCE = re.compile(
    r"""\sto\s(?:(?:my|our|your|the|some|potential|young)\s)?(?:
      adults | audience | beginners | boss | children | class | clients? | customers? | friends?
    | investors | kids | manager | parents | readers | students | team | users
    )\b""",
    re.VERBOSE,
)
_FORM = re.compile(
    r"""\sin\s(?:(?:an?|the|one|two|three|four|five|ten|about|under|\d+)\s)?(?:[a-z]+\s)?(?:
      brief | bullets | depth | detail | dollars | euros | form | format | full | general | grams
    | kilometers | lines? | list | meters | miles | millions | order | ounces | paragraphs?
    | points | prose | rhyme | sentences? | short | style | table | terms | tone | verse | words?
    )\b
    | \son\s(?:(?:an?|one)\s)?(?:page | paper | screen | site | social\ media | stage)\b""",
    re.VERBOSE,
)
LANGUAGES = (
    "(?:Arabic|Chinese|Dutch|English|French|German|Greek|Hindi|Italian|Japanese|Korean|Latin"
    "|Mandarin|Polish|Portuguese|Russian|Spanish|Swedish|Turkish|C|Go|Java|JavaScript|Python|Ruby"
    "|Rust|TypeScript|CSS|HTML|JSON|SQL|XML|YAML)"
)
"""A pattern for the languages, of people and of machines, that an answer may be asked for in."""
_LANGUAGE = re.compile(
    rf"\s(?:in|into)\s{LANGUAGES}(?![\w+#])"
    rf"|\s{LANGUAGES}(?=\s(?:captions?|subtitles|summary|titles?|translations?|versions?"
    r"|class|code|functions?|implementations?|programs?|quer(?:y|ies)|scripts?|snippets?)\b)"
)
# `the year of release`: of what?
_AN_EVENT = re.compile(
    r"""\sof\s(?:
      arrival | birth | completion | composition | construction | creation | death | departure
    | discovery | entry | founding | invention | manufacture | origin | preparation | production
    | publication | purchase | release | residence | use | writing
    )\b""",
    re.VERBOSE,
)
_QUALIFIERS = (_AN_EVENT, _FORM, _LANGUAGE, _AUDIENCE, _CIRCUMSTANCE)


def without_qualifiers(task: str) -> str:
    """Leave out of a task what does not say what it is about.

    >>> without_qualifiers("write a review for my blog")
    'write a review'
    >>> without_qualifiers("list the rules of chess for beginners in French")
    'list the rules of chess'
    """
    for qualifier in _QUALIFIERS:
        if qualifier is _CIRCUMSTANCE and _PURPOSE.search(task):
            continue
        task = qualifier.sub("", task)
    return task
