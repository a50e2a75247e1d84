"""Models and their files over HTTP, as a client sends them."""

import hashlib
from collections.abc import Mapping

import httpx

from support.control import API


async def new_model(client: httpx.AsyncClient, name: str = "mnist") -> str:
    answer = await client.post(f"{API}/models", json={"name": name, "framework": "pytorch"})
    assert answer.status_code < 300, answer.text
    return answer.json()["id"]


async def sent(
    client: httpx.AsyncClient,
    model_id: str,
    content: bytes,
    version: str = "1.0.0",
    *,
    fields: Mapping[str, str] | None = None,
    **files: bytes,
) -> httpx.Response:
    """A version sent as the published client sends it: one form, fields first."""
    return await client.post(
        f"{API}/models/{model_id}/versions/upload",
        data={"version": version, **(fields or {})},
        files={"file": ("model.pt", content), **{n: (n, c) for n, c in files.items()}},
    )


async def begun(client: httpx.AsyncClient, size_bytes: int) -> str:
    answer = await client.post(f"{API}/uploads", json={"size_bytes": size_bytes, "name": "m.pt"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def appended(
    client: httpx.AsyncClient, upload_id: str, offset: int, data: bytes
) -> httpx.Response:
    headers = {"upload-offset": str(offset)}
    return await client.patch(f"{API}/uploads/{upload_id}", content=data, headers=headers)


async def completed(client: httpx.AsyncClient, upload_id: str, content: bytes) -> httpx.Response:
    body = {"sha256": hashlib.sha256(content).hexdigest()}
    return await client.post(f"{API}/uploads/{upload_id}/complete", json=body)


async def uploaded(client: httpx.AsyncClient, content: bytes) -> str:
    """The storage path of some bytes, sent in two pieces."""
    upload_id, half = await begun(client, len(content)), len(content) // 2
    for offset, piece in ((0, content[:half]), (half, content[half:])):
        answer = await appended(client, upload_id, offset, piece)
        assert answer.status_code == 200, answer.text
    answer = await completed(client, upload_id, content)
    assert answer.status_code == 200, answer.text
    return answer.json()["storage_path"]


async def downloaded(
    client: httpx.AsyncClient, model_id: str, version: str = "1.0.0", **query: str
) -> httpx.Response:
    return await client.get(f"{API}/models/{model_id}/versions/{version}/download", params=query)
