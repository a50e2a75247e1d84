"""The links of the OpenAPI document, each gone along once: an answer names what comes next.

Requests that chance makes up seldom get far along them; here everything was really made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from octomil.control.api.catalog import PREFIX
from octomil.control.api.links import SOURCES
from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.belongings import Made, make_all
from support.control import API, client_of, key_of
from support.control_routes import openapi_of
from support.examples import request_of
from support.model_files import safetensors_file
from support.openapi_checks import NOT_SERVED
from support.registry import appended, begun, completed

FOUND = {403, 409}
"""What something that is there may answer, too: it is another's to say, or not the time for it."""

REFUSED = {
    "POST /models/{model_id}/versions/upload": (400, "names no boundary"),
    "POST /models/{model_id}/versions/{version}/files": (404, "no file with the SHA-256"),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/retry": (404, "no dead delivery"),
}
"""What is wrong with the smallest request, or missing beside what the link leads to."""

MADE_BY_NAME = {"PUT /models/{model_id}/aliases/{alias}"}
"""Whoever calls chooses the name in the path, so that no answer before tells it."""

BY_SIGNATURE = {"GET /blobs/{digest}", "HEAD /blobs/{digest}"}
"""Addresses that are handed out whole."""


@dataclass(frozen=True)
class Link:
    """From the answer of one operation to another operation."""

    source: str
    target: str
    parameters: tuple[tuple[str, str], ...]


def operations_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each operation under the prefix, by method and path."""
    return {
        f"{method.upper()} {path.removeprefix(PREFIX)}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith(PREFIX)
    }


def links_of(operations: dict[str, dict[str, Any]]) -> Iterator[Link]:
    names = {operation["operationId"]: name for name, operation in operations.items()}
    for source, operation in operations.items():
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                target = names[link["operationId"]]
                yield Link(source, target, tuple(link["parameters"].items()))


def value_of(expression: str, made: Made, body: Any) -> str:
    """What a runtime expression of the OpenAPI Specification 3.1.0 stands for."""
    place, _, rest = expression.removeprefix("$").partition(".")
    if place == "request":
        return made[rest.removeprefix("path.")]
    for part in rest.removeprefix("body#/").split("/"):
        body = body[int(part) if isinstance(body, list) else part]
    return str(body)


async def make_the_rest(owner: httpx.AsyncClient, made: Made) -> None:
    """What `make_all` has no need of."""
    content = safetensors_file(w=[2.0])
    upload_id = made["upload_id"] = await begun(owner, len(content))
    assert (await appended(owner, upload_id, 0, content)).is_success
    answer = await completed(owner, upload_id, content)
    body = {"version": "2.0.0", "storage_path": answer.json()["storage_path"]}
    answer = await owner.post(f"{API}/models/{made['model_id']}/versions", json=body)
    assert answer.is_success, answer.text
    answer = await owner.post(f"{API}/keys/{made['key_id']}/rotate", json={})
    assert answer.is_success, answer.text


async def everything(owner: httpx.AsyncClient) -> tuple[Made, dict[tuple[str, str], Any]]:
    """Make one of each; also the bodies of the answers, by method and path as it was asked."""
    bodies: dict[tuple[str, str], Any] = {}

    async def keep(answer: httpx.Response) -> None:
        await answer.aread()
        bodies[answer.request.method, answer.request.url.path] = answer.json()

    owner.event_hooks = {"response": [keep]}
    made = await make_all(owner)
    await make_the_rest(owner, made)
    owner.event_hooks = {}
    return made, bodies


async def test_every_link_leads_to_what_was_made(plane: ControlPlane):
    document = openapi_of()
    operations = operations_of(document)
    links = sorted(dict.fromkeys(links_of(operations)), key=lambda each: "DELETE" in each.target)
    done = 0
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as owner:
        made, bodies = await everything(owner)
        for link in links:
            method, path = link.source.split(" ")
            body = bodies[method, API + path.format(**made)]
            values = {name: value_of(each, made, body) for name, each in link.parameters}
            method, path = link.target.split(" ")
            options = request_of(operations[link.target], document)
            answer = await owner.request(method, API + path.format(**values), **options)
            done += answer.is_success
            if link.target in REFUSED:
                status, reason = REFUSED[link.target]
                assert answer.status_code == status, f"{link}: {answer.text}"
                assert reason in answer.text
            else:
                assert answer.is_success or answer.status_code in FOUND, f"{link}: {answer.text}"

    assert len(links) >= 80
    assert done >= 50, "most are refused, so that little is shown"


def test_whatever_can_be_made_is_linked_with_all_that_can_be_done_with_it():
    operations = operations_of(openapi_of())
    asked = {name for name in operations if "{" in name} - NOT_SERVED - BY_SIGNATURE

    links = set(links_of(operations))

    assert {link.source for link in links} == {source.operation for source in SOURCES}
    assert asked - {link.target for link in links} == MADE_BY_NAME
