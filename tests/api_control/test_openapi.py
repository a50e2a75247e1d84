"""The API is what its OpenAPI document says: requests made from the document, all checks.

Against a process, over HTTP: nothing between client and service is left out. Here what the document
says is gone through one by one; requests that chance makes up are the campaign's.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, DEVICE_SCOPES, INSTALLATION, SCOPES
from octomil.convert.formats import FILE_FORMATS
from octomil.placement.decision import Preference, Target
from octomil.placement.table import PLATFORMS, AcceleratorKind
from octomil.wire.formats import FORMAT_NAMES
from octomil.wire.placement import AcceleratorName, PlatformName, PreferenceName, TargetName
from octomil.wire.scopes import DEVICE_SCOPE_NAMES, SCOPE_NAMES
from support.belongings import make_all
from support.control import API, bearer, client_of, key_of, printed_key
from support.control_routes import openapi_of
from support.examples import request_of
from support.openapi_checks import (
    NOT_SERVED,
    REFUSED_BY_MEANING,
    TAKE_THE_KEY_AWAY,
    checked,
    unlimited,
)
from support.serving import ServeProcess

SCENARIOS = 12
SOME_LINKS = 5
"""Far fewer than these scenarios go along, and more than a run that hardly gets anywhere."""

SEED = 1
"""The same requests each time, but for ids."""

WRONG = {"integer": [True, "12", 1.5], "number": [True, "12"], "boolean": [1, "yes"]}
"""What is no such value, and might be made into one."""

NO_DIGITS = ("+0.0", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "0x1", "-0", "٣")
"""What Python might read as an integer, in a path, a query or a header; pydantic does with most."""

UNPROCESSABLE = {
    f"{API}/{path}"
    for path in ("route", "inference", "inference/stream", "inference/batch", "embeddings")
}
"""Where wrong values are told from a wrong form."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("openapi") / "data"
    with unlimited(folder) as served:
        yield served
    assert not [line for line in served.errors if "Traceback" in line], served.errors[-30:]


@pytest.mark.slow
def test_every_operation_is_as_the_document_says(served: ServeProcess, tmp_path: Path):
    document = served.get(f"{API}/openapi.json").json()
    names = [
        f"{method.upper()} {path.removeprefix(API)}"
        for path, methods in document["paths"].items()
        for method in methods
    ]
    assert set(names) >= {*REFUSED_BY_MEANING, *NOT_SERVED, *TAKE_THE_KEY_AWAY}

    done = checked(served, tmp_path, phases=["coverage"], examples=1, seed=SEED)

    assert done.is_clean, done.output[-8000:]
    assert done.operations == len(names) - len(TAKE_THE_KEY_AWAY)
    mine = served.get(f"{API}/keys", headers=bearer(printed_key(served)))
    assert mine.status_code == 200, "the key was lost on the way, and what followed proves nothing"


@pytest.mark.slow
def test_what_one_call_makes_the_next_ones_can_use(served: ServeProcess, tmp_path: Path):
    """Scenarios along the links between operations, such as make, change, delete, get.

    The declared links are gone along one by one in `test_openapi_links`.
    """
    done = checked(served, tmp_path, phases=["stateful"], examples=SCENARIOS, seed=SEED)

    assert done.is_clean, done.output[-5000:]
    assert done.links >= SOME_LINKS, done.output


@pytest.mark.slow
def test_calls_that_may_take_the_key_away_are_as_the_document_says(tmp_path: Path):
    with unlimited(tmp_path / "data") as served:
        done = checked(
            served, tmp_path, phases=["coverage"], examples=1, seed=SEED, only=TAKE_THE_KEY_AWAY
        )

    assert done.is_clean, done.output[-5000:]
    assert done.operations == len(TAKE_THE_KEY_AWAY)


def test_the_names_in_the_document_are_those_that_there_are():
    assert set(SCOPE_NAMES) == set(SCOPES)
    assert set(DEVICE_SCOPE_NAMES) == DEVICE_SCOPES
    assert set(FORMAT_NAMES) == set(FILE_FORMATS)
    assert get_args(PlatformName) == tuple(PLATFORMS)
    assert get_args(PreferenceName) == tuple(Preference)
    assert get_args(TargetName) == get_args(Target)
    assert get_args(AcceleratorName) == get_args(AcceleratorKind)


def bodies_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Each operation with a JSON body: method, path, the operation, and the body's schema."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            name = f"{method.upper()} {path.removeprefix(API)}"
            if "application/json" in content and name not in NOT_SERVED:
                schema = content["application/json"]["schema"]
                yield method, path, operation, resolved(schema, document)


def resolved(schema: Any, document: dict[str, Any]) -> Any:
    """The schema of the object that a body is, whether or not it may be left out."""
    for each in schema.get("anyOf", [schema]):
        if "$ref" in each:
            return document["components"]["schemas"][each["$ref"].rpartition("/")[2]]
    return schema


def fields_of(schema: Any) -> Iterator[tuple[str, str]]:
    """Each field that is a number or a boolean, or null, with its type."""
    for name, field in schema["properties"].items():
        kinds = {each.get("type") for each in field.get("anyOf", [field])} - {"null"}
        if len(kinds) == 1 and (kind := kinds.pop()) in WRONG:
            yield name, kind


@pytest.fixture
async def admin(plane: ControlPlane) -> Any:
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        yield client


async def test_no_text_or_boolean_passes_for_a_number(admin: httpx.AsyncClient):
    document, made, tried = openapi_of(), await make_all(admin), 0
    for method, path, operation, schema in bodies_of(document):
        options = request_of(operation, document)
        for name, kind in fields_of(schema):
            for value in WRONG[kind]:
                body = json.dumps({**options["json"], name: value}).encode()
                headers = {**options["headers"], "content-type": "application/json"}
                answer = await admin.request(
                    method, path.format(**made), content=body, headers=headers
                )
                expected = 422 if path in UNPROCESSABLE else 400
                assert answer.status_code == expected, f"{path} {name}={value!r}: {answer.text}"
                assert answer.json()["details"]["fields"][0]["field"] == name
                tried += 1
    assert tried > 20


def integers_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Each parameter outside of a body that is an integer: method, path, operation, and it."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
                if "integer" in kinds:
                    yield method, path, operation, parameter


async def test_an_integer_outside_of_a_body_is_digits(admin: httpx.AsyncClient):
    document, made, tried = openapi_of(), await make_all(admin), set()
    ids = {**made, "digest": "a" * 64}
    for method, path, operation, parameter in integers_of(document):
        options, name, place = request_of(operation, document), parameter["name"], parameter["in"]
        needed = {each["name"] for each in operation["parameters"] if each.get("required")} - {name}
        for value in NO_DIGITS:
            filled = path.format(**ids | ({name: quote(value)} if place == "path" else {}))
            options["params"] = {name: value} if place == "query" else {}
            if place == "header":
                options["headers"] = {name: value.encode()}
            answer = await admin.request(method, filled, **options)
            assert answer.status_code == 400, f"{method} {filled} {name}={value!r}: {answer.text}"
            if method != "head":
                (field,) = {each["field"] for each in answer.json()["details"]["fields"]} - needed
                assert field.rpartition(".")[2] == name.lower(), f"{filled}: {answer.text}"
        tried.add((place, name))
    assert {place for place, _ in tried} == {"path", "query", "header"}


async def test_fields_that_are_not_known_are_left_aside(admin: httpx.AsyncClient):
    """So that clients that are newer than the server can talk to it.

    Options of rollouts and capabilities are refused: who misspelt one would rely on it.
    """
    document, made, tried, refused = openapi_of(), await make_all(admin), 0, 0
    for method, path, operation, schema in bodies_of(document):
        options = request_of(operation, document)
        body = {**options["json"], "a-field-of-tomorrow": 1}
        answer = await admin.request(
            method, path.format(**made), json=body, headers=options["headers"]
        )
        if schema.get("additionalProperties") is False:
            assert answer.status_code in (400, 422), f"{path}: {answer.text}"
            assert "a-field-of-tomorrow: there is no such field" in answer.json()["message"]
            refused += 1
            continue
        assert answer.status_code not in (400, 500), f"{path}: {answer.text}"
        tried += 1
    assert tried > 10
    assert refused == 9, "eight of rollouts, and one of placement"
