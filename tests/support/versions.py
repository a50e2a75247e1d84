"""Models and versions over HTTP, made as clients make them, but for the bytes of their files."""

import hashlib
from typing import Any

import httpx

from octomil.control.plane import ControlPlane
from octomil.control.records import VersionFile
from octomil.control.scopes import ALL_SCOPES
from octomil.control.services.callers import Caller
from support.control import API

CREATION = {
    "name": "mnist",
    "description": "Digits,\nwritten by hand",
    "framework": "pytorch",
    "use_case": "image_classification",
    "org_id": "default",
}
"""What the published client sends."""


def caller_of(organisation: str = "default") -> Caller:
    return Caller(organisation, "key:test", (ALL_SCOPES,))


async def made_model(client: httpx.AsyncClient, name: str = "mnist", **fields: Any) -> str:
    answer = await client.post(f"{API}/models", json={"name": name, **fields})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["id"]


async def made_version(
    client: httpx.AsyncClient, model: str, number: str = "1.0.0", **fields: Any
) -> dict[str, Any]:
    answer = await client.post(f"{API}/models/{model}/versions", json={"version": number, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def a_file(plane: ControlPlane, format_: str = "pytorch", content: bytes = b"weights", **changes):
    """A version's file, as an upload would tell of it."""
    values = {
        "format": format_,
        "digest": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "origin": "original",
        "name": f"model.{format_}",
        "created_at": plane.clock(),
    }
    return VersionFile(**{**values, **changes})


async def ready_version(
    client: httpx.AsyncClient, plane: ControlPlane, model: str, number: str = "1.0.0", **fields: Any
) -> dict[str, Any]:
    """A version with a file that nobody uploaded; its bytes are told of, and are not there."""
    await made_version(client, model, number, **fields)
    file = a_file(plane, content=number.encode())
    await plane.threads.write(plane.versions.add_file, caller_of(), model, number, file)
    return (await client.get(f"{API}/models/{model}/versions/{number}")).json()


async def published_version(
    client: httpx.AsyncClient, plane: ControlPlane, model: str, number: str = "1.0.0", **fields: Any
) -> dict[str, Any]:
    await ready_version(client, plane, model, number, **fields)
    answer = await client.post(f"{API}/models/{model}/versions/{number}/publish", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def numbers(client: httpx.AsyncClient, model: str, **query: Any) -> list[str]:
    """The numbers of a model's versions, as they are listed."""
    answer = await client.get(f"{API}/models/{model}/versions", params=query)
    assert answer.status_code == 200, answer.text
    return [version["version"] for version in answer.json()["versions"]]
