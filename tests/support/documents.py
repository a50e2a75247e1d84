"""Documents as tests: their blocks, the commands in them, and ways to run them against a node."""

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).resolve().parents[2]

RUN = ("python", "javascript", "sh")
LEFT_ALONE = ("text", "mermaid", "yaml")
"""Languages of blocks: the first are run, the others are shown."""

NODE_URL = "http://localhost:8080"
"""Where the documents have their node; the tests put another in its place."""

_FENCE = re.compile(r"^```(\w*)", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_TIMEOUT_S = 600  # a real model on a busy machine writes its answer to the end


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}:{self.language}"


def documents() -> list[Path]:
    """The documents of the repository."""
    top = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
    return [*(ROOT / name for name in top), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str) -> list[Block]:
    """The blocks in these languages, of all documents."""
    return [block for path in documents() for block in _blocks_of(path, languages)]


def _blocks_of(path: Path, languages: tuple[str, ...]) -> Iterator[Block]:
    for language in languages:
        parser = CodeBlockParser(language=language, evaluator=lambda _example: None)
        for example in Sybil([parser]).parse(path).examples():
            yield Block(path, example.line, language, str(example.parsed))


def fence_languages(path: Path) -> set[str]:
    """Every language that a block of the document is marked with; empty for none."""
    return set(_FENCE.findall(path.read_text(encoding="utf-8"))[::2])


def commands(text: str) -> list[list[str]]:
    """Split a shell block into commands; quotes and backslashes may span lines.

    >>> commands("A=1 octomil pull x \\\\\\n  y | cat\\nmake run")
    [['octomil', 'pull', 'x', 'y'], ['make', 'run']]
    """
    found, pending = [], ""
    for line in text.splitlines():
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        pending += line + "\n"
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quote is still open
            continue
        pending = ""
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        if words:
            found.append(words[: words.index("|")] if "|" in words else words)
    if pending:
        raise AssertionError(f"the shell block does not end: {pending!r}")
    return found


@dataclass
class Curl:
    """A curl command, as far as the documents use it."""

    url: str = ""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    @classmethod
    def parse(cls, words: list[str]) -> "Curl":
        """Read a command's words."""
        curl, rest = cls(), iter(words[1:])
        for word in rest:
            if word in ("-i", "-s", "-N"):
                continue
            if word in ("-H", "--header"):
                name, _, value = next(rest).partition(":")
                curl.headers[name] = value.strip()
            elif word in ("-d", "--data"):
                curl.body = next(rest)
            elif word in ("-X", "--request"):
                curl.method = next(rest)
            elif word.startswith("-"):
                raise AssertionError(f"curl's {word} is not known to the tests of the documents")
            else:
                curl.url = word
        curl.method = curl.method or ("GET" if curl.body is None else "POST")
        return curl

    def send(self, url: str) -> httpx.Response:
        """Send it to the node at `url` instead of the document's."""
        assert self.url.startswith(NODE_URL), f"{self.url} is not the documents' node"
        target = self.url.replace(NODE_URL, url, 1)
        return httpx.request(
            self.method, target, headers=self.headers, content=self.body, timeout=_TIMEOUT_S
        )


def run_python(text: str, url: str, names: Mapping[str, object] | None = None) -> str:
    """Run Python against the node at `url`; return what it printed."""
    said = io.StringIO()
    code = compile(text.replace(NODE_URL, url), "<document>", "exec")
    with contextlib.redirect_stdout(said):
        exec(code, {"__name__": "__main__", **(names or {})})
    return said.getvalue()


def run_javascript(text: str, url: str, folder: Path) -> str:
    """Run a JavaScript module against the node at `url`; return what it printed.

    Args:
        text: the module.
        url: the node.
        folder: where it is put, so that `node_modules` there serves its imports.
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", text.replace(NODE_URL, url)],
        cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
