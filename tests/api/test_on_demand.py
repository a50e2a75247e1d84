"""`octomil serve --on-demand`: what a request names is brought, if it may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from octomil.serve.node import Node
from support.hub import Hub, HubFile, running_hub
from support.models import MIB, make_gguf
from support.nodes import chat, client_of, composed_node
from support.sse import read_stream
from support.waiting import PATIENCE_S, PAUSE_S

HUB_FILE = "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf"
ALIASES = "tiny=echo:tiny,other=echo:other,again=echo:tiny"


@asynccontextmanager
async def on_demand(
    folder: Path, *models: str, env: dict[str, str] | None = None, **options: object
) -> AsyncIterator[tuple[Node, httpx.AsyncClient]]:
    """A node that brings what is asked for, with an empty cache."""
    env = {"OCTOMIL_MODEL_ALIASES": ALIASES, "OCTOMIL_CACHE_DIR": str(folder), **(env or {})}
    async with (
        composed_node(*models, env=env, on_demand=True, **options) as node,
        client_of(node) as client,
    ):
        yield node, client


async def ask(client: httpx.AsyncClient, model: str, **body: object) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=chat("a b", model=model, **body))


def code_of(response: httpx.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


async def states(client: httpx.AsyncClient) -> dict[str, str]:
    listed = (await client.get("/v1/models")).json()["data"]
    return {model["id"]: model["state"] for model in listed}


async def test_model_that_nobody_serves_yet_answers_the_request_that_names_it(tmp_path: Path):
    async with on_demand(tmp_path) as (_, client):
        whole = await ask(client, "tiny")
        streamed = await ask(client, "other", stream=True)

    assert whole.json()["choices"][0]["message"]["content"] == "a b"
    assert whole.headers["X-Octomil-Routed-Model"] == "tiny"
    assert read_stream(streamed).text == "a b"


async def test_model_that_is_asked_by_header_is_brought_too(tmp_path: Path):
    async with on_demand(tmp_path) as (_, client):
        body = chat("a b", model="nobody")
        answer = await client.post("/v1/chat/completions", json=body, headers={"X-Model": "tiny"})

    assert answer.status_code == 200


async def test_model_makes_vectors_on_demand(tmp_path: Path):
    async with on_demand(tmp_path) as (_, client):
        answer = await client.post("/v1/embeddings", json={"model": "tiny", "input": ["a", "b"]})

    assert [row["index"] for row in answer.json()["data"]] == [0, 1]


async def test_list_tells_what_is_loaded_and_what_could_be(tmp_path: Path):
    async with on_demand(tmp_path, "echo:served") as (_, client):
        before = await states(client)
        await ask(client, "tiny")
        after = await states(client)
        one = (await client.get("/v1/models/smollm2-135m")).json()

    assert (before["served"], before["tiny"], before["smollm2-135m"]) == (
        "ready",
        "available",
        "available",
    )
    assert after == before | {"tiny": "ready", "again": "ready"}
    assert (one["state"], one["local"]) == ("available", False)


async def test_two_names_of_one_model_are_one_engine(tmp_path: Path):
    async with on_demand(tmp_path, "echo:tiny") as (node, client):
        answers = await asyncio.gather(*(ask(client, name) for name in ("again", "tiny", "again")))
        names = [name for name, entry in node.pool if not name.startswith("all-minilm")]

    assert [answer.json()["model"] for answer in answers] == ["tiny"] * 3
    assert names == ["tiny"]


@pytest.mark.parametrize(
    "name",
    [
        "tinny",
        "hf:owner/repo/file.gguf",
        "openai:gpt-9",
        "echo:mine",
        "registry:m@1.0.0",
        "/etc/passwd",
        "../model.gguf",
        "https://example.com/model.gguf",
    ],
)
async def test_nothing_is_brought_but_what_the_operator_offers(tmp_path: Path, name: str):
    file = tmp_path / "model.gguf"
    file.write_bytes(make_gguf())
    async with on_demand(tmp_path / "cache") as (node, client):
        refused = [await ask(client, asked) for asked in (name, str(file))]
        refused += [await client.post("/v1/embeddings", json={"model": name, "input": "x"})]

        assert [code_of(answer)[:2] for answer in refused] == [(404, "model_not_found")] * 3
        assert list(node.models) == ["all-minilm-l6-v2"]


async def test_unknown_name_is_refused_with_the_nearest(tmp_path: Path):
    async with on_demand(tmp_path) as (_, client):
        _, _, message = code_of(await ask(client, "smolm2-135m"))

    assert message.startswith("no model 'smolm2-135m' is served here; did you mean smollm2-135m")


async def test_request_that_names_none_is_answered_by_what_is_always_served(tmp_path: Path):
    async with on_demand(tmp_path, "echo:served") as (_, client):
        assert (await ask(client, "auto")).json()["model"] == "served"
    async with on_demand(tmp_path) as (_, client):
        status, _, message = code_of(await ask(client, "auto"))

    assert status == 404
    assert message == "the request names no model, and this node serves none by itself"


@pytest.mark.parametrize(
    ("path", "model", "does"),
    [
        ("chat/completions", "nomic-embed-text", "makes embeddings and writes no text"),
        ("embeddings", "smollm-360m", "writes text and makes no embeddings"),
    ],
)
async def test_model_that_cannot_do_it_is_not_even_fetched(
    tmp_path: Path, path: str, model: str, does: str
):
    async with on_demand(tmp_path, env={"HF_ENDPOINT": "http://127.0.0.1:1"}) as (_, client):
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "input": "x"}
        answer = await client.post(f"/v1/{path}", json=body)

    assert code_of(answer) == (400, "invalid_request", f"model {model!r} {does}")


async def test_model_that_never_fits_is_refused_before_it_is_fetched(tmp_path: Path):
    offline = {"HF_ENDPOINT": "http://127.0.0.1:1"}
    async with on_demand(tmp_path, env=offline, memory_mib=100) as (_, client):
        status, code, message = code_of(await ask(client, "smollm-360m"))

    assert (status, code) == (507, "insufficient_space")
    assert "369 MiB of memory, and there are 100 MiB" in message


async def test_model_that_cannot_be_fetched_is_tried_again_by_the_next_request(tmp_path: Path):
    file = tmp_path / "model.gguf"
    env = {"OCTOMIL_MODEL_ALIASES": f"mine={file}"}
    async with on_demand(tmp_path / "cache", env=env) as (_, client):
        missing = await ask(client, "mine")
        file.write_bytes(make_gguf(weight_bytes=MIB))
        damaged = await ask(client, "mine")

    assert code_of(missing)[:2] == (500, "model_unusable")
    assert code_of(damaged)[:2] == (502, "generation_failed"), "it was fetched, and did not load"


async def test_spend_cap_leaves_out_what_other_servers_might_charge_for(tmp_path: Path):
    env = {
        "OCTOMIL_MODEL_ALIASES": "free=echo:free,paid=openai:gpt-9",
        "OCTOMIL_STATE_DIR": str(tmp_path / "state"),
    }
    async with on_demand(tmp_path, env=env, spend_cap_usd=1.0, embedder=None) as (_, client):
        assert "paid" not in await states(client)
        assert (await ask(client, "free")).status_code == 200
        assert (await ask(client, "paid")).status_code == 404


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await look():
            await asyncio.sleep(PAUSE_S)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that sends half of a model and then waits; what it has is no model that runs."""
    with running_hub() as hub:
        data = make_gguf(weight_bytes=2 * MIB)
        hub.files[HUB_FILE] = HubFile(data)
        hub.hold_after = MIB
        yield hub


async def test_progress_shows_while_requests_wait_for_one_transfer(tmp_path: Path, hub: Hub):
    async with on_demand(tmp_path, env={"HF_ENDPOINT": hub.url}) as (_, client):
        waiting = [asyncio.create_task(ask(client, "smollm-360m", stream=True)) for _ in range(3)]

        async def shows() -> bool:
            told = (await client.get("/health")).json()["models"].get("smollm-360m", {})
            return told.get("state") == "fetching" and "of 2 MB are here" in told["detail"]

        await eventually(shows)
        assert (await states(client))["smollm-360m"] == "fetching"
        assert (await ask(client, "tiny")).status_code == 200, "others are answered meanwhile"
        assert not any(task.done() for task in waiting)
        hub.release.set()
        answers = await asyncio.gather(*waiting)

    assert {answer.status_code for answer in answers} == {502}, "errors keep their status"
    assert len(hub.body_requests()) == 1


async def test_transfer_goes_on_when_its_request_is_given_up(tmp_path: Path, hub: Hub):
    async with on_demand(tmp_path, env={"HF_ENDPOINT": hub.url}) as (_, client):
        given_up = asyncio.create_task(ask(client, "smollm-360m"))
        await asyncio.to_thread(hub.held.wait, PATIENCE_S)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        hub.release.set()

        async def is_here() -> bool:
            listed = (await client.get("/v1/models/smollm-360m")).json()
            return listed["state"] == "available" and listed["local"]

        await eventually(is_here)


async def test_too_many_do_not_wait_for_one_model(tmp_path: Path, hub: Hub):
    options = {"max_queue": 1, "slots": 1, "env": {"HF_ENDPOINT": hub.url}}
    async with on_demand(tmp_path, **options) as (_, client):
        waiting = [asyncio.create_task(ask(client, "smollm-360m")) for _ in range(3)]
        done, left = await asyncio.wait(
            waiting, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        (refused,) = [await task for task in done]

        status, code, message = code_of(refused)
        assert (status, code) == (503, "engine_unavailable")
        assert "2 requests wait for it already" in message
        assert int(refused.headers["Retry-After"]) >= 1
        hub.release.set()
        await asyncio.gather(*left)


async def test_node_ends_while_a_transfer_hangs(tmp_path: Path, hub: Hub):
    async with on_demand(tmp_path, env={"HF_ENDPOINT": hub.url}) as (_, client):
        asked = asyncio.create_task(ask(client, "smollm-360m"))
        await asyncio.to_thread(hub.held.wait, PATIENCE_S)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(asked, return_exceptions=True)
    assert asked.done()
