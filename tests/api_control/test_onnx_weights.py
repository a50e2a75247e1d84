"""The weights of ONNX models in files of their own, sent by session as the models are."""

import hashlib
import os

import httpx
import pytest

from support import model_files as made
from support.control import API
from support.registry import appended, begun, completed, downloaded, new_model, sent, uploaded

WEIGHTS = os.urandom(5000)


async def weights_sent(client: httpx.AsyncClient, content: bytes = WEIGHTS) -> str:
    """The storage path of weights, sent in two pieces."""
    upload, half = await begun(client, len(content)), len(content) // 2
    for offset, piece in ((0, content[:half]), (half, content[half:])):
        assert (await appended(client, upload, offset, piece)).status_code == 200
    body = {"sha256": hashlib.sha256(content).hexdigest(), "format": "onnx_data"}
    for _ in range(2):  # which may be tried again
        answer = await client.post(f"{API}/uploads/{upload}/complete", json=body)
        assert answer.status_code == 200, answer.text
    return answer.json()["storage_path"]


async def version_of(client: httpx.AsyncClient, model: str, **more: object) -> httpx.Response:
    body = {"version": "1.0.0", **more}
    return await client.post(f"{API}/models/{model}/versions", json=body)


async def added(client: httpx.AsyncClient, model: str, **file: str) -> httpx.Response:
    return await client.post(f"{API}/models/{model}/versions/1.0.0/files", json=file)


@pytest.mark.parametrize("said", [{}, {"format": "onnx_data"}])
async def test_weights_that_came_by_session_go_with_their_model(
    admin: httpx.AsyncClient, said: dict[str, str]
):
    model = await new_model(admin)
    graph, weights = await uploaded(admin, made.onnx_file()), await weights_sent(admin)
    waits = await version_of(admin, model, storage_path=graph, formats=["onnx_data"])

    answer = await added(admin, model, storage_path=weights, name="m.onnx_data", **said)

    assert waits.json()["status"] == "converting"
    assert answer.json()["status"] == "ready"
    files = {file["format"]: (file["name"], file["origin"]) for file in answer.json()["files"]}
    assert files["onnx_data"] == ("m.onnx_data", "original")
    assert (await downloaded(admin, model, format="onnx_data")).content == WEIGHTS


async def test_what_has_no_format_is_refused_unless_it_is_said_to_be_weights(
    admin: httpx.AsyncClient,
):
    upload = await begun(admin, len(WEIGHTS))
    await appended(admin, upload, 0, WEIGHTS)

    assert (await completed(admin, upload, WEIGHTS)).status_code == 415


async def test_weights_are_no_model_and_go_with_none_but_onnx(admin: httpx.AsyncClient):
    model, weights = await new_model(admin), await weights_sent(admin)

    alone = await version_of(admin, model, storage_path=weights)
    await sent(admin, model, made.safetensors_file(w=[1.0]))
    beside = await added(admin, model, storage_path=weights)

    assert (alone.status_code, beside.status_code) == (400, 400)
    assert "ONNX model" in alone.json()["message"]
    assert "ONNX model" in beside.json()["message"]


async def test_a_file_that_has_a_format_may_be_weights_as_well(admin: httpx.AsyncClient):
    model, content = await new_model(admin), made.safetensors_file(w=[1.0])
    await sent(admin, model, made.onnx_file())

    answer = await added(
        admin, model, storage_path=await uploaded(admin, content), format="onnx_data"
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["formats"] == ["onnx", "onnx_data"]


async def test_bytes_that_somebody_called_weights_are_looked_through_for_who_does_not(
    admin: httpx.AsyncClient,
):
    """Else whoever sends a known model as weights first would spoil it for all others."""
    model, content = await new_model(admin), made.safetensors_file(w=[1.0])
    await weights_sent(admin, content)

    answer = await version_of(admin, model, storage_path=await uploaded(admin, content))

    assert answer.status_code == 201, answer.text
    assert answer.json()["formats"] == ["safetensors"]


async def test_only_weights_need_to_be_named(admin: httpx.AsyncClient):
    upload = await begun(admin, 1)
    body = {"sha256": "0" * 64, "format": "onnx"}

    assert (await admin.post(f"{API}/uploads/{upload}/complete", json=body)).status_code == 400
