"""The published documents, as text without markup: found, cut into snippets, made to run.

The text has lost its fences and its indentation. A snippet is a run of lines of one kind; a line
begins one if it looks like it, and the snippet goes on until brackets and quotes are closed.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.documents import ROOT, commands

FOLDER = ROOT.parent / "shared" / "seeds"

_BEGINNINGS = {
    "shell": r"octomil ",
    "curl": r"curl ",
    "javascript": r'import \w+ from "|const |console\.log\(',
    "python": r"import \w+$|from \w+ import |\w+ = |print\(",
    "json": r"\{$",
    "headers": r"X-[\w-]+: ",
    "startup": r"\[\w+\] |Tier \d \(",
    "dialogue": r'[<>] "',
    "endpoint": r"(?:GET|POST|PUT|PATCH|DELETE) /",
}
"""The kinds of snippet, and how a line of each begins; the first that fits counts."""


@dataclass(frozen=True)
class Snippet:
    """Consecutive lines of one kind.

    Attributes:
        line: number of the first line, from 1.
        kind: a key of `_BEGINNINGS`.
        lines: the text, as it stands in the document.
    """

    line: int
    kind: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def snippets(lines: Sequence[str]) -> list[Snippet]:
    """Cut a document into snippets; what is in none is prose."""
    found: list[Snippet] = []
    for start, kind, statement in _statements(lines):
        last = found[-1] if found else None
        follows = last and last.kind == kind and last.line + len(last.lines) == start
        if last and follows:
            found[-1] = Snippet(last.line, kind, last.lines + statement)
        else:
            found.append(Snippet(start, kind, statement))
    return found


def _statements(lines: Sequence[str]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    at = 0
    while at < len(lines):
        kind = _kind(lines[at])
        if kind is None:
            at += 1
            continue
        end = at + 1
        while not _is_whole(kind, lines[at:end]):
            end += 1
            if end > len(lines):
                raise AssertionError(f"the {kind} at line {at + 1} does not end")
        yield at + 1, kind, tuple(lines[at:end])
        at = end


def _kind(line: str) -> str | None:
    return next((kind for kind, start in _BEGINNINGS.items() if re.match(start, line)), None)


def _is_whole(kind: str, lines: Sequence[str]) -> bool:
    text = "\n".join(lines)
    checks: dict[str, Callable[[str], object]] = {
        "python": ast.parse,
        "json": json.loads,
        "curl": _shell,
        "javascript": _brackets,
    }
    try:
        checks.get(kind, str)(text)
    except (AssertionError, SyntaxError, ValueError):
        return False
    return True


def _shell(text: str) -> None:
    assert not text.endswith("\\")
    commands(text)


def _brackets(text: str) -> None:
    outside = re.sub(r'"[^"]*"', "", text)
    assert all(outside.count(a) == outside.count(b) for a, b in ("()", "[]", "{}"))


def usages(lines: Sequence[str]) -> list[Snippet]:
    """The blocks of Python below the word `Usage:`, up to the next empty line."""
    found = []
    for at, line in enumerate(lines):
        if line == "Usage:":
            start = at + 2
            end = lines.index("", start)
            found.append(Snippet(start + 1, "python", tuple(lines[start:end])))
    return found


def read_lines(name: str) -> list[str] | None:
    """The document's lines; None where the folder of documents is not beside the repository."""
    path = Path(FOLDER / name)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else None


def same_shape(ours: object, theirs: object, where: str = "$") -> list[str]:
    """List where a JSON value differs from an example in more than its figures and its words.

    Keys must be the same, in the same order; numbers must be of the same type; texts must be the
    same but for the figures in them.
    """
    if type(ours) is not type(theirs):
        return [f"{where}: {type(ours).__name__} in place of {type(theirs).__name__}"]
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if list(ours) != list(theirs):
            return [f"{where}: keys {list(ours)} in place of {list(theirs)}"]
        return [d for key in ours for d in same_shape(ours[key], theirs[key], f"{where}.{key}")]
    if isinstance(ours, str) and isinstance(theirs, str):
        pattern = re.sub(r"\d+", r"-?\\d+", re.escape(theirs))
        return [] if re.fullmatch(pattern, ours) else [f"{where}: {ours!r} is unlike {theirs!r}"]
    return []
