"""The published document on routing, run from the document itself on a serving node.

What it says of the control plane is run by `test_seed_placement`.

`substitutions.toml` lists every difference between what stands there and what is run here.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from support.documents import NODE_URL, ROOT, Curl, commands, run_javascript, run_python
from support.needs import skip_or_fail
from support.seed_document import FOLDER, Snippet, read_lines, same_shape, snippets
from support.serving import ServeProcess, serving

TABLE = tomllib.loads((ROOT / "tests/docs/substitutions.toml").read_text(encoding="utf-8"))
ENV = {"OCTOMIL_MODEL_ALIASES": ",".join(f"{k}={v}" for k, v in TABLE["aliases"].items())}
WELL_FORMED = {
    "X-Octomil-Routed-Model": r"tier0|[\w.-]+",
    "X-Octomil-Routing-Tier": r"[0-3]",
    "X-Octomil-Routing-Latency-Us": r"[1-9]\d*",
    "X-Octomil-Decomposed": "true",
    "X-Octomil-Subtasks": r"[2-8]",
    "X-Octomil-Subtask-Models": r"[\w.-]+(,[\w.-]+)+",
}

Entry = dict[str, Any]


def entries(kind: str) -> Any:
    """The table's working snippets of one kind, as parameters."""
    found = [entry for entry in TABLE["works"] if entry["kind"] == kind]
    return pytest.mark.parametrize("entry", found, ids=[f"line {e['line']}" for e in found])


@pytest.fixture(scope="session")
def document() -> list[str]:
    lines = read_lines(TABLE["document"]["file"])
    if lines is None:
        skip_or_fail(f"the published documents are not at {FOLDER}")
    return lines


@pytest.fixture(scope="session")
def by_line(document) -> dict[int, Snippet]:
    return {snippet.line: snippet for snippet in snippets(document)}


def arguments(snippet: Snippet) -> list[str]:
    (words,) = commands(snippet.text)
    assert words[:2] == ["octomil", "serve"]
    return words[2:]


@pytest.fixture(scope="session")
def node(by_line) -> Iterator[ServeProcess]:
    """The document's first node."""
    first = next(entry for entry in TABLE["works"] if entry["kind"] == "shell")
    with serving(*arguments(by_line[first["line"]]), env=ENV) as served:
        yield served


def runnable(entry: Entry, by_line: dict[int, Snippet], document: list[str]) -> str:
    """The snippet's text, after the lines that make its client unless it has them itself."""
    first, last = TABLE["prelude"][entry["kind"]]
    own = by_line[entry["line"]]
    prelude = [] if own.line == first else document[first - 1 : last]
    return "\n".join([*prelude, own.text])


def expected_headers(entry: Entry) -> dict[str, str]:
    return {name: value for name, value in entry.items() if name.startswith("X-")}


def test_the_table_describes_this_very_document(document):
    data = (FOLDER / TABLE["document"]["file"]).read_bytes()

    assert hashlib.sha256(data).hexdigest() == TABLE["document"]["sha256"]


def test_every_snippet_is_listed_once(by_line):
    entries = [*TABLE["works"], *TABLE["control"]["snippets"]]
    listed = [(entry["line"], entry["kind"]) for entry in entries]

    assert sorted(listed) == [(line, snippet.kind) for line, snippet in sorted(by_line.items())]


@entries("shell")
def test_a_command_starts_a_node_that_answers(entry: Entry, by_line):
    with serving(*arguments(by_line[entry["line"]]), env=ENV) as served:
        reply = served.chat("hello")

    assert reply.status_code == 200
    assert reply.headers["X-Octomil-Routed-Model"] in TABLE["aliases"]


@entries("startup")
def test_the_node_says_the_same_when_it_starts(entry: Entry, by_line, node: ServeProcess):
    wanted = []
    for line in by_line[entry["line"]].lines:
        figures = re.search(TABLE["startup"]["figures"], line)
        pattern = re.escape(line.replace(NODE_URL, node.url))
        if figures:
            pattern = pattern.replace(re.escape(figures[0]), TABLE["startup"]["become"])
        wanted.append(pattern)

    said = [line.strip() for line in node.lines]

    assert len(said) == len(wanted)
    for pattern, line in zip(wanted, said, strict=True):
        assert re.fullmatch(pattern, line)


@entries("curl")
def test_curl_is_answered(entry: Entry, by_line, node: ServeProcess):
    (words,) = commands(by_line[entry["line"]].text)

    reply = Curl.parse(words).send(node.url)

    assert reply.status_code == 200
    if "says" in entry:
        assert reply.json()["choices"][0]["message"]["content"] == entry["says"]
    for name, value in expected_headers(entry).items():
        assert reply.headers[name] == value


@entries("headers")
def test_the_answer_has_the_headers(entry: Entry, by_line, node: ServeProcess):
    (words,) = commands(by_line[entry["of"]].text)
    shown = dict(line.split(": ", 1) for line in by_line[entry["line"]].lines)

    reply = Curl.parse(words).send(node.url)

    for name, value in (shown | expected_headers(entry)).items():
        assert re.fullmatch(WELL_FORMED[name], reply.headers[name])
        if not name.endswith("-Us"):
            assert reply.headers[name] == value


@entries("python")
def test_python_runs(entry: Entry, by_line, document, node: ServeProcess):
    printed = run_python(runnable(entry, by_line, document), node.url)

    assert printed == entry["prints"] if "prints" in entry else printed.strip()


@pytest.mark.node
@entries("javascript")
def test_javascript_runs(entry: Entry, by_line, document, node: ServeProcess, node_folder):
    printed = run_javascript(runnable(entry, by_line, document), node.url, node_folder)

    assert printed == entry["prints"] if "prints" in entry else printed.strip()


@entries("dialogue")
def test_tier_0_says_what_the_document_says(entry: Entry, by_line, node: ServeProcess):
    lines = by_line[entry["line"]].lines
    quoted = [re.match(r'[<>] "(.*)"', line)[1] for line in lines]

    for question, answer in zip(quoted[::2], quoted[1::2], strict=True):
        reply = node.chat(question)

        assert reply.json()["choices"][0]["message"]["content"] == answer
        assert reply.headers["X-Octomil-Routed-Model"] == "tier0"
        assert reply.json()["usage"]["total_tokens"] == 0


@entries("json")
def test_an_answer_has_the_shape_of_the_example(entry: Entry, by_line, node: ServeProcess):
    node.chat("hello")
    (words,) = commands(by_line[entry["of"]].text)

    reply = Curl.parse(words).send(node.url).json()

    documented = {key: reply[key] for key in reply if key not in entry["more"]}
    assert set(entry["more"]) < set(reply)
    assert same_shape(documented, json.loads(by_line[entry["line"]].text)) == []
    shares = [share["percentage"] for share in reply["routing_distribution"].values()]
    assert sum(shares) == pytest.approx(100)


@pytest.mark.model
def test_a_model_with_a_size_says_it_when_it_starts(by_line, model_cache):
    line = by_line[9].lines[1]
    aliases = ENV["OCTOMIL_MODEL_ALIASES"].replace("echo:small", "smollm2-135m")
    options = [*arguments(by_line[7]), "--threads", "1"]
    with serving(*options, env={"OCTOMIL_MODEL_ALIASES": aliases}) as served:
        said = served.lines[1].strip()

    assert re.fullmatch(TABLE["startup"]["figures"], line[line.index("(360M") :])
    assert re.fullmatch(r"Tier 1 \(fast\): smollm-360m " + TABLE["startup"]["figures"], said)
