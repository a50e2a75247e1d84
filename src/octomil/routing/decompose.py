"""Split a message that asks for several things into tasks that can be routed one by one.

By structure alone: list items, sentences, semicolons, and imperatives joined by `and` or `then`. A
task that leans on an earlier answer says so. Whatever is not a task from end to end (a story with a
question, a document with an instruction, a choice) stays whole, since a wrong cut spoils an answer
and a missed one costs nothing but time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from octomil.routing.boundaries import ASKING, find_boundaries
from octomil.routing.dependence import SEVERAL, find_support
from octomil.routing.imperatives import (
    AUXILIARIES,
    QUESTION_WORDS,
    VERBS,
    is_question,
    word_set,
)
from octomil.routing.masking import mask, mask_asides
from octomil.routing.sentences import (
    find_items,
    is_announcement,
    is_courtesy,
    is_local_remark,
    is_remark,
    skip_announcement,
    split_sentences,
)

MAX_CHARS = 2_000
"""Longer texts stay whole: they are documents, and reading them costs more than routing may."""

MAX_TASKS = 8


@dataclass(frozen=True, slots=True)
class SubTask:
    """One thing asked for.

    Attributes:
        text: the task in the user's own words.
        depends_on: the index of the earlier task whose answer it needs, or None.
    """

    text: str
    depends_on: int | None = None


@dataclass(slots=True)
class _Piece:
    """A task as a slice of the text.

    Attributes:
        start: where it begins.
        end: where it ends, remarks on it included.
        head: where its verb or question word begins.
        word: that word, in lower case.
        core: where the task itself ends.
        joined: whether it is a question that `and` joins to the task before it.
    """

    start: int
    end: int
    head: int
    word: str
    core: int
    joined: bool = False


_HEADS = VERBS | QUESTION_WORDS
_STARTS = _HEADS | AUXILIARIES
_OPENINGS = word_set(
    """
    please kindly hi hello hey i i'd help first firstly ok okay so now good also then in at
    on to for here here's do answer complete questions tasks todo two three
    """
)
_LEAD = re.compile(
    r"""(?:(?:
      and|then|also|plus|next|now|ok|okay|so|hi|hello|hey|first|firstly|second|secondly|third
    | thirdly|finally|lastly|afterwards|after\ that|in\ addition|additionally|furthermore
    )\b[,:!]?\s+)*""",
    re.IGNORECASE | re.VERBOSE,
)
_HEAD = re.compile(
    rf"""(?P<asking>{ASKING})
    (?P<place>(?:in|at|on|to|for|of|by|from|with)\ (?=what|which|whom|how))?
    (?P<word>[a-z][\w']*)(?=\s)""",
    re.IGNORECASE | re.VERBOSE,
)
# `Define the sequence by ...` sets up the question that follows.
_PREMISE = re.compile(
    r"(?:define|write|choose|select|pick)\b[^,]*\b(?:as|by|to be|at random)\b", re.IGNORECASE
)
_DIVIDERS = (",", ".", "\n", ";", ")", "!", "and", "then", "also", "plus")
"""Every boundary between two tasks has one of these, or a question mark, before the later one."""
_NEXT_STEP = re.compile(r"\b(?:then|next|afterwards|after that)\b", re.IGNORECASE)
_DATA = re.compile(r":(?:\s|$)")
_TEXT_WORK = word_set("translate summarize summarise rewrite rephrase paraphrase proofread")
_FIGURES = word_set("calculate compute convert solve multiply divide add subtract")


def decompose(text: str) -> tuple[SubTask, ...]:
    """Split a message into its tasks.

    Args:
        text: the user's whole message.

    Returns:
        The tasks in the order of the text. A message that asks for one thing, is longer than
        `MAX_CHARS` or has more than `MAX_TASKS` tasks is one task with exactly that text.

    >>> [task.text for task in decompose("Explain gravity, then calculate 20% of 350.")]
    ['Explain gravity', 'calculate 20% of 350']
    >>> decompose("Write a haiku about tea and translate it to German")[1].depends_on
    0
    >>> len(decompose("Compare Romeo and Juliet"))
    1
    """
    whole = (SubTask(text),)
    if len(text) > MAX_CHARS or not _may_ask_twice(text):
        return whole
    masked = mask(text)
    if '"' in masked or "```" in masked:
        return whole  # a quote that never ends
    pieces = _find_pieces(masked)
    if not 2 <= len(pieces) <= MAX_TASKS:
        return whole
    supports = _find_supports(masked, pieces)
    if supports is None:
        return whole
    return tuple(
        SubTask(text[piece.start : piece.end], support)
        for piece, support in zip(pieces, supports, strict=True)
    )


def merge(answers: Sequence[str]) -> str:
    r"""Join the answers to the tasks, in order, into one text.

    >>> merge(["Gravity attracts. ", "70"])
    'Gravity attracts.\n\n70'
    """
    return "\n\n".join(stripped for answer in answers if (stripped := answer.strip()))


def lineage(tasks: Sequence[SubTask], index: int) -> tuple[int, ...]:
    """Return the tasks that a task leans on, directly or by another, the first one first.

    >>> chain = [SubTask("Name a city"), SubTask("Describe it", 0), SubTask("Shorten that", 1)]
    >>> lineage(chain, 2)
    (0, 1)
    """
    found: list[int] = []
    support = tasks[index].depends_on
    while support is not None:
        found.append(support)
        support = tasks[support].depends_on
    return tuple(reversed(found))


def _may_ask_twice(text: str) -> bool:
    """Tell cheaply whether two words could begin tasks, and the text does not begin as a story."""
    opening = text.split(None, 1)
    if not opening or not _may_begin(opening[0].lower().strip(",.!:")):
        return False
    lowered = text.lower()
    if not _may_have_parts(lowered):
        return False
    if text.count("?") >= 2:
        return True
    words = lowered.split()
    heads = _HEADS.intersection(words)
    return len(heads) >= 2 or any(words.count(head) >= 2 for head in heads)


def _may_begin(first: str) -> bool:
    return first in _STARTS or first in _OPENINGS or not first.isalpha()


def _may_have_parts(lowered: str) -> bool:
    """Tell whether a text has a mark or a word that could end one task and begin another."""
    return (
        not lowered.isascii()  # there are more kinds of spaces and of letters than are looked for
        or -1 < lowered.find("?") < len(lowered) - 1
        or any(map(lowered.__contains__, _DIVIDERS))
    )


def _find_pieces(masked: str) -> list[_Piece]:
    flat = mask_asides(masked)
    spans = find_items(flat)
    if spans is None:
        return _read_sentences(flat)
    pieces: list[_Piece] = []
    for start, end in spans:
        piece = _read_task(flat, start, end)
        if piece is None:
            return []
        pieces.append(piece)
    return pieces


def _read_sentences(flat: str) -> list[_Piece]:
    """Read every sentence as a task, a courtesy or a remark; anything else makes the text one."""
    pieces: list[_Piece] = []
    closed = remark = False  # an example may follow a colon; a remark may speak of all tasks
    for start, end in split_sentences(flat):
        if len(pieces) > MAX_TASKS:
            return []
        sentence = flat[start:end].strip()
        if is_courtesy(sentence) or (not pieces and is_announcement(sentence)):
            continue
        if closed:
            return []
        if pieces and is_remark(sentence):
            remark = not is_local_remark(sentence)
            pieces[-1].end = _trim_end(flat, start, end)
            continue
        piece = _read_task(flat, start if pieces else skip_announcement(flat, start, end), end)
        if piece is None:
            return []
        remark = False
        closed = _DATA.search(flat, piece.start, end) is not None
        pieces.extend([piece] if closed else _split_sentence(flat, piece))
    return [] if remark and len(pieces) > 1 else pieces


def _read_task(flat: str, start: int, end: int) -> _Piece | None:
    """Read a sentence that begins with an imperative or asks a question; None for any other."""
    lead = _LEAD.match(flat, start, end)
    begin = lead.end() if lead else start
    match = _HEAD.match(flat, begin, end)
    if match is None:
        return None
    word = match["word"].lower()
    head = match.start("word")
    sentence = flat[head:end].rstrip()
    if word in VERBS:
        is_task = not match["place"] and not _PREMISE.match(sentence)
    elif word in QUESTION_WORDS:
        is_task = is_question(sentence)
    else:
        is_task = word in AUXILIARIES and not match["asking"] and sentence.endswith("?")
    if not is_task:
        return None
    trimmed = _trim_end(flat, begin, end)
    return _Piece(begin, trimmed, head, word, trimmed)


def _split_sentence(flat: str, piece: _Piece) -> list[_Piece]:
    pieces: list[_Piece] = []
    start, head, word, joined = piece.start, piece.head, piece.word, False
    for boundary in find_boundaries(flat, piece.start, piece.end, piece.head):
        end = _trim_end(flat, start, boundary.start)
        pieces.append(_Piece(start, end, head, word, end, joined))
        start, head, word = boundary.task, boundary.head, boundary.word
        joined = boundary.word in QUESTION_WORDS
    pieces.append(_Piece(start, piece.end, head, word, piece.core, joined))
    return pieces


def _trim_end(flat: str, start: int, end: int) -> int:
    """Leave out what closes the task: spaces, a full stop, a comma, a semicolon."""
    return start + len(flat[start:end].rstrip(" \t\r\n.,;"))


def _find_supports(masked: str, pieces: Sequence[_Piece]) -> list[int | None] | None:
    """Find what each task leans on; None where the text must stay whole."""
    parts = [masked[piece.start : piece.core] for piece in pieces]
    heads = [piece.word for piece in pieces]
    supports: list[int | None] = []
    for index, (part, head) in enumerate(zip(parts, heads, strict=True)):
        joint = masked[pieces[index - 1].end : pieces[index].start] if index else ""
        support = find_support(
            part, head, parts[:index], is_next_step=_NEXT_STEP.search(joint) is not None
        )
        if support is not None and (index == 0 or support == SEVERAL or pieces[index].joined):
            return None
        if support is not None and head in _TEXT_WORK and heads[support] in _FIGURES:
            return None  # `write a poem, calculate 3+4, and translate it`: hardly the number
        supports.append(support)
    return supports
