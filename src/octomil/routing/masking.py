"""Spans of a text that are data rather than instructions: code, quotes, formulas, links."""

import re

MASK = "\ue000"
"""Stands for one character of a masked span: no letter, no space, no punctuation."""

# Every alternative stops at its own closing mark or is bounded, so a hostile text stays cheap.
_SPAN = re.compile(
    r"""
      ```.*?(?:```|\Z)
    | `[^`]+`
    | "[^"]*" | \u201c[^\u201c\u201d]*\u201d | \u00ab[^\u00ab\u00bb]*\u00bb
    | (?<!\w)'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w)){1,200}'(?!\w)
    | \$(?=\S)[^$\n]*(?<=\S)\$(?!\d)
    | \\\(.{0,300}?\\\) | \\\[.{0,300}?\\\]
    | \b(?:https?://|www\.)[^\s<>"]*[^\s<>".,;:!?)]
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ASIDE = re.compile(r"\((?!\d{1,2}\))[^()\n]*\)")
_OPENERS = re.compile("[\"`'$\\\\\u201c\u00ab]|://|www\\.", re.IGNORECASE)


def mask(text: str) -> str:
    """Replace code, quoted text, formulas and links by as many mask characters.

    Returns:
        A text of the same length, so that offsets hold in both.

    >>> mask("say 'a; b' now").replace(MASK, "#")
    'say ###### now'
    """
    return _SPAN.sub(_blank, text) if _OPENERS.search(text) else text


def mask_asides(masked: str) -> str:
    """Replace what stands in brackets as well; a marker such as `(1)` stays.

    >>> mask_asides("define x (and y) (2) now").replace(MASK, "#")
    'define x ####### (2) now'
    """
    return _ASIDE.sub(_blank, masked) if "(" in masked else masked


def _blank(match: re.Match[str]) -> str:
    return MASK * (match.end() - match.start())
