"""The published document on routing: its section on the routing engine, against a control plane.

`substitutions.toml` lists every difference between what stands there and what is run here.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.control import API
from support.documents import NODE_URL, ROOT, Curl, commands, run_javascript, run_python
from support.needs import skip_or_fail
from support.sdk import Place, control_place
from support.seed_document import FOLDER, Snippet, read_lines, same_shape, snippets

_FILE = tomllib.loads((ROOT / "tests/docs/substitutions.toml").read_text(encoding="utf-8"))
TABLE = _FILE["control"]

Entry = dict[str, Any]


def entries(kind: str) -> list[Entry]:
    return [entry for entry in TABLE["snippets"] if entry["kind"] == kind]


@pytest.fixture(scope="module")
def by_line() -> dict[int, Snippet]:
    lines = read_lines(_FILE["document"]["file"])
    if lines is None:
        skip_or_fail(f"the published documents are not at {FOLDER}")
    return {snippet.line: snippet for snippet in snippets(lines)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with control_place(tmp_path_factory.mktemp("up") / "data") as place:
        yield place


def text_of(snippet: Snippet, place: Place) -> str:
    """The snippet, with the test's key, at the address that stands for this control plane's."""
    return snippet.text.replace(TABLE["key"], place.key).replace(TABLE["url"], NODE_URL)


def answered(line: int, by_line: dict[int, Snippet], place: Place) -> httpx.Response:
    (words,) = commands(text_of(by_line[line], place))
    return Curl.parse(words).send(place.served.url)


def published(entry: Entry, by_line: dict[int, Snippet]) -> dict[str, Any]:
    example: dict[str, Any] = json.loads(by_line[entry["line"]].text)
    return example


def test_each_endpoint_is_in_the_document_of_the_api(by_line, place: Place):
    paths = place.served.get(f"{API}/openapi.json").json()["paths"]
    found = [by_line[entry["line"]].text.split() for entry in entries("endpoint")]

    assert len(found) == 2
    assert [(method, path) for method, path in found if method.lower() not in paths[path]] == []


def test_curl_is_answered(by_line, place: Place):
    codes = [answered(entry["line"], by_line, place).status_code for entry in entries("curl")]

    assert codes == [200, 200]


def test_the_routing_engine_answers_as_published(by_line, place: Place):
    (entry,) = [each for each in entries("json") if "id" in published(each, by_line)]
    example = published(entry, by_line)

    reply = answered(entry["of"], by_line, place).json()

    assert [key for key in reply if key not in example] == entry["more"]
    assert list(reply)[: len(example)] == list(example)
    own = {"id", "routing_latency_us"}  # each decision's
    assert {key: reply[key] for key in example if key not in own} == {
        key: value for key, value in example.items() if key not in own
    }
    assert {key: type(reply[key]) for key in own} == {key: type(example[key]) for key in own}
    assert reply["id"].startswith("rd_")


def test_the_statistics_have_the_shape_of_the_example(by_line, place: Place):
    (entry,) = [each for each in entries("json") if "common_reasons" in published(each, by_line)]
    example = published(entry, by_line)
    (asked,) = [each for each in entries("curl") if each["line"] != entry["of"]]
    body = json.loads(Curl.parse(commands(text_of(by_line[asked["line"]], place))[0]).body or "")
    headers = {"authorization": f"Bearer {place.key}"}
    for _ in range(2):
        answered(asked["line"], by_line, place)
    too_large = body | {"model_params": 70_000_000_000, "model_size_mb": 140_000}
    place.served.post(f"{API}/route", too_large, headers=headers)

    reply = answered(entry["of"], by_line, place).json()

    assert same_shape(reply, example) == []
    assert {each["reason"] for each in reply["common_reasons"]} == {
        each["reason"] for each in example["common_reasons"]
    }
    assert reply["device_count"] + reply["cloud_count"] == reply["total_decisions"]
    assert reply["device_pct"] + reply["cloud_pct"] == pytest.approx(100)


def test_python_runs(by_line, place: Place):
    (entry,) = entries("python")

    printed = run_python(text_of(by_line[entry["line"]], place), place.served.url)

    assert "'target': 'device'" in printed
    assert "'engine': 'ane'" in printed


@pytest.mark.node
def test_javascript_runs(by_line, place: Place, tmp_path: Path):
    (entry,) = entries("javascript")

    printed = run_javascript(text_of(by_line[entry["line"]], place), place.served.url, tmp_path)

    assert "target: 'device'" in printed
