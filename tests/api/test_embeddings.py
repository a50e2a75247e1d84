"""`POST /v1/embeddings`."""

import asyncio
import base64
import math
from array import array
from dataclasses import replace

import pytest

from octomil.engines.base import Capabilities, Progress
from octomil.engines.echo import EchoEngine
from support.models import model_cache_dir
from support.nodes import client_of, composed_node, node_of
from support.upstream import PATIENCE_S, Answer, failure, fake_upstream


def embed(served, texts="the sea", **body):
    return served.post("/v1/embeddings", {"model": "small", "input": texts, **body})


def vectors(response) -> list[list[float]]:
    assert response.status_code == 200, response.text
    return [row["embedding"] for row in response.json()["data"]]


def test_answer_has_openai_s_form(echo_server):
    answer = embed(echo_server, ["the sea", "a boat at sea"]).json()

    rows = answer.pop("data")
    assert [(row["object"], row["index"]) for row in rows] == [("embedding", 0), ("embedding", 1)]
    assert answer == {
        "object": "list",
        "model": "small",
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }


def test_texts_keep_their_order_and_equal_texts_their_vector(echo_server):
    one, other, again = vectors(embed(echo_server, ["the sea", "a boat", "the sea"]))

    assert one == again != other
    assert vectors(embed(echo_server, "the sea")) == [one]
    assert math.hypot(*one) == pytest.approx(1)


def test_base64_is_the_same_vector_in_single_precision(echo_server):
    (plain,) = vectors(embed(echo_server, encoding_format="float"))
    (packed,) = vectors(embed(echo_server, encoding_format="base64"))

    floats = array("f", base64.b64decode(packed))
    assert list(floats) == pytest.approx(plain)


def test_fewer_dimensions_are_the_first_ones(echo_server):
    (whole,) = vectors(embed(echo_server, "a b c d e f g h"))
    (short,) = vectors(embed(echo_server, "a b c d e f g h", dimensions=8))

    scale = math.hypot(*whole[:8])
    assert short == pytest.approx([value / scale for value in whole[:8]])


def test_more_dimensions_than_there_are_are_refused(echo_server):
    response = embed(echo_server, dimensions=10_000)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "dimensions"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": [1, 2]}, "input[0]"),
        ({"input": ["x"] * 2049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "many"}, "dimensions"),
        ({"model": 5}, "model"),
    ],
)
def test_request_that_makes_no_sense_is_a_400_that_names_the_field(echo_server, body, field):
    response = echo_server.post("/v1/embeddings", {"model": "small", "input": "x", **body})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == field
    assert field in response.json()["error"]["message"]


def test_request_without_texts_is_a_400_that_names_them(echo_server):
    response = echo_server.post("/v1/embeddings", {"model": "small"})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input"


def test_unknown_model_is_a_404_that_names_those_that_embed(echo_server):
    response = embed(echo_server, model="gpt-9")

    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith(
        "no embedding model 'gpt-9' is served; served: small, large"
    )


async def test_model_that_makes_no_vectors_is_a_400_that_names_one_that_does():
    class Mute(EchoEngine):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, embeddings=False)

    engines = {"small": Mute("small"), "large": EchoEngine("large")}
    async with node_of(engines) as node, client_of(node) as client:
        response = await client.post("/v1/embeddings", json={"model": "small", "input": "x"})

    assert response.status_code == 400
    assert response.json()["error"]["message"] == "model 'small' cannot do embeddings; ask large"


async def test_node_without_an_embedding_model_says_so():
    async with node_of({}.fromkeys(["small"], EchoEngine("small"))) as node, client_of(node) as c:
        response = await c.post("/v1/embeddings", json={"input": "x"})

    assert response.status_code == 404
    assert "no embedding model 'auto' is served" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer([b"<html>"]), 502, "generation_failed"),
        (Answer([b"{}"]), 502, "generation_failed"),
        (Answer([b'{"data": [{"index": 0, "embedding": "AAAA"}]}']), 502, "generation_failed"),
        (Answer([b'{"data": []}']), 502, "generation_failed"),
        (Answer([b'{"data": [{"index": 7, "embedding": [1]}]}']), 502, "generation_failed"),
        (failure(500), 502, "generation_failed"),
        (failure(429, Retry_After="7"), 503, "engine_unavailable"),
        (failure(400, "too long"), 400, "invalid_request"),
    ],
)
async def test_upstream_that_fails_is_told_apart_from_a_bad_request(answer, status, code):
    with fake_upstream() as upstream:
        upstream.always("small", answer)
        async with (
            composed_node("openai:small", env=upstream.env) as node,
            client_of(node) as client,
        ):
            response = await client.post("/v1/embeddings", json={"model": "small", "input": "x"})
            fine = node.recorder._failure.value("small", code)

    assert response.status_code == status, response.text
    assert (response.json()["error"]["code"] or "invalid_request") == code
    assert response.headers.get("Retry-After") == ("7" if status == 503 else None)
    assert fine == 1


async def test_upstream_s_vectors_arrive_in_order_and_counted():
    body = (
        b'{"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}],'
        b' "usage": {"prompt_tokens": 9}}'
    )
    with fake_upstream() as upstream:
        upstream.always("small", Answer([body]))
        async with (
            composed_node("openai:small", env=upstream.env) as node,
            client_of(node) as client,
        ):
            request = {"model": "small", "input": ["x", "y"]}
            response = await client.post("/v1/embeddings", json=request)

    assert vectors(response) == [[1, 0], [0, 1]]
    assert response.json()["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


@pytest.mark.model
@pytest.mark.parametrize("asked", [{}, {"model": "all-minilm"}, {"model": "all-minilm-l6-v2"}])
async def test_embedder_served_by_its_short_name_answers_to_each_of_its_names(
    asked,
):
    env = {"OCTOMIL_CACHE_DIR": str(model_cache_dir())}
    async with composed_node("all-minilm", env=env) as node, client_of(node) as client:
        response = await client.post("/v1/embeddings", json={"input": "the sea", **asked})

    assert len(vectors(response)[0]) == 384
    assert response.json()["model"] == "all-minilm"


class Late(EchoEngine):
    """One text at a time, and none before it has arrived."""

    def __init__(self) -> None:
        super().__init__("late")
        self.asked_for, self.arrived = asyncio.Event(), asyncio.Event()

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, max_concurrency=1)

    async def load(self, progress: Progress) -> None:
        self.asked_for.set()
        await self.arrived.wait()
        await super().load(progress)


async def test_callers_do_not_pile_up_while_the_model_is_fetched():
    late, body = Late(), {"model": "late", "input": "x"}
    async with node_of({"late": late}, lazy={"late"}, max_queue=2) as node, client_of(node) as c:
        waiting = [asyncio.create_task(c.post("/v1/embeddings", json=body)) for _ in range(3)]
        await late.asked_for.wait()

        async with asyncio.timeout(PATIENCE_S):
            refused = await c.post("/v1/embeddings", json=body)
        late.arrived.set()

        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "queue_full"
        assert "Retry-After" in refused.headers
        assert [r.status_code for r in await asyncio.gather(*waiting)] == [200, 200, 200]
