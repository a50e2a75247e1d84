"""The sentences and list items of a message, and which of them ask for nothing by themselves."""

import re
from collections.abc import Iterator

from octomil.routing.imperatives import VERBS

Span = tuple[int, int]

_LINE_MARKER = re.compile(
    r"(?:^|\n)[ \t]{0,8}(?:\(?(?P<number>\d{1,2})[.)]|[-*\u2022\u2013])[ \t]+(?=\S)"
)
_INLINE_MARKER = re.compile(r"(?:(?<=\s)|^)\(?(?P<number>\d{1,2})[.)] +(?=\S)")
_NUMBER_MARK = re.compile(r"\d[.)] ")  # found fast, and in every inline marker
# Each run of marks or spaces is looked at once, from its first character on.
_STOP = r"(?<![.?!])(?P<mark>[.?!]+)\s+|;\s*"
_STOP_IN_A_LINE = re.compile(_STOP)
_SENTENCE_END = re.compile(rf"{_STOP}|(?<!\s)\s*\n\s*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|dr|mrs?|ms|vs|etc|st|no|fig|approx|prof|jr|a\.k\.a)|\b\w)$",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(r"[\w']+")
_AFTER_LETTER = VERBS | {"second", "third", "then", "also", "finally", "and"}

_POLITE = re.compile(
    r"""(?:
      (?:hi|hello|hey|good\ (?:morning|afternoon|evening|day)|thanks|thank\ you|thx|cheers|please
      |pls)
      (?:\ (?:there|so\ much|in\ advance|again|all|everyone|a\ lot|very\ much|for\ your\ help))*
      [\s,.!]*
    )+""",
    re.IGNORECASE | re.VERBOSE,
)
_ANNOUNCEMENT = re.compile(
    r"""(?:
      (?:please\ |kindly\ |can\ you\ |could\ you\ )*
      (?:answer|do|complete|handle|perform|help\ me\ with|tackle)
    | i\ (?:have|need(?:\ help\ with)?|'ve\ got) | here\ are | here's
    )?\s*
    (?:(?:the|these|my|some|a\ few|a\ couple\ of|following|below|quick|several|\d|two|three|four
      |five|six)\s+)*
    (?:questions?|tasks?|things|requests?|todo|to-do|following)(?:\ list)?
    (?:\ (?:for\ me|for\ you|please|below))*\s*[:.]?""",
    re.IGNORECASE | re.VERBOSE,
)
_ANNOUNCED = re.compile(
    r"(?:(?:hi|hello|hey)[ ,!]+)?(?:[a-z']+ ){0,4}(?:questions|tasks|things|requests): ",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"""(?P<local>make\ (?:it|them|sure)\b)
    | (?:please\ |also\ )*(?:
        keep|use|avoid|limit|include|answer\ (?:in|with|as|briefly|using)|respond|reply|format
      | be\s|no\s|only|ensure|assume|note|remember|don't|do\ not|never
      | show\ (?:all\ )?(?:your|the|me\ your)
      | explain\ (?:your|why\W*$|the\ answer|each) | justify
      | (?:express|write|give|state|report|round|enter|leave|put|return|provide)\b[^,]{0,40}
        \b(?:answers?|results?|solution|response|nearest|form)\b
      | round\b | think | take\ your\ time | let's | in\ (?:one|two|\d+)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def split_sentences(flat: str) -> Iterator[Span]:
    """Yield where the sentences of a text begin and end: at full stops, semicolons, line breaks.

    Args:
        flat: the text, its data and asides masked.
    """
    start = 0
    end_of_sentence = _SENTENCE_END if "\n" in flat else _STOP_IN_A_LINE
    for match in end_of_sentence.finditer(flat):
        if match["mark"] == "." and _is_abbreviation(flat, start, match):
            continue
        end = match.end("mark") if match["mark"] else match.start()
        if end > start:
            yield start, end
        start = match.end()
    if flat[start:].strip():
        yield start, len(flat)


def find_items(flat: str) -> list[Span] | None:
    """Return the items of a list that is the whole text.

    Returns:
        The items; none where the list is only a part of the text or its numbers are out of order;
        None where there is no list.
    """
    markers = list(_LINE_MARKER.finditer(flat)) if "\n" in flat else []
    if len(markers) < 2 and _NUMBER_MARK.search(flat):
        markers = list(_INLINE_MARKER.finditer(flat))
    if len(markers) < 2:
        return None
    numbers = [int(match["number"]) for match in markers if match["number"]]
    opening = flat[: markers[0].start()].strip()
    in_order = not numbers or numbers == list(range(1, len(markers) + 1))
    if not in_order or (opening and not is_announcement(opening)):
        return []
    ends = [match.start() for match in markers[1:]] + [len(flat)]
    return [(match.end(), end) for match, end in zip(markers, ends, strict=True)]


def is_courtesy(sentence: str) -> bool:
    """Tell whether a sentence only greets or thanks.

    >>> is_courtesy("Hello there!"), is_courtesy("Hello moon in C")
    (True, False)
    """
    return _POLITE.fullmatch(sentence) is not None


def is_announcement(sentence: str) -> bool:
    """Tell whether a sentence only says that tasks follow.

    >>> is_announcement("Please answer the following questions:")
    True
    """
    polite = _POLITE.match(sentence)
    rest = sentence[polite.end() :] if polite else sentence
    return not rest or _ANNOUNCEMENT.fullmatch(rest) is not None


def skip_announcement(flat: str, start: int, end: int) -> int:
    """Return where a sentence goes on after `I need two things: `."""
    announced = _ANNOUNCED.match(flat, start, end)
    return announced.end() if announced else start


def is_remark(sentence: str) -> bool:
    """Tell whether a sentence only says how to do what was asked before: `keep it short`."""
    return _REMARK.match(sentence) is not None


def is_local_remark(sentence: str) -> bool:
    """Tell whether a remark speaks of the task before it alone: `make it rhyme`."""
    match = _REMARK.match(sentence)
    return match is not None and match["local"] is not None


def _is_abbreviation(flat: str, start: int, match: re.Match[str]) -> bool:
    found = _ABBREVIATION.search(flat, max(start, match.start() - 8), match.start())
    if found is None:
        return False
    following = _FIRST_WORD.match(flat, match.end())
    # `convert 20 F to C. Write ...` goes on with a task, `Washington, D.C. Who` is left alone.
    return len(found[0]) > 1 or not following or following[0].lower() not in _AFTER_LETTER
