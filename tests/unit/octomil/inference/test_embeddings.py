"""Embeddings from a real server."""

import json

import pytest

from octomil import EmbeddingUsage, embed
from octomil.errors import (
    AnswerTimeoutError,
    ConfigurationError,
    UnexpectedAnswerError,
    UnprocessableError,
)
from support.inference_server import Hold, InferenceServer, plainly, refusing, streaming


def test_each_text_has_its_vector(server: InferenceServer):
    result = embed(server.url, "edg_1", "nomic", ["hello", "big world"])

    assert result.embeddings == [[5.0, 1.0], [9.0, 1.0]]
    assert result.model == "nomic"
    assert result.usage == EmbeddingUsage(prompt_tokens=3, total_tokens=3)
    (seen,) = server.seen
    assert (seen.path, seen.body["input"]) == ("/api/v1/embeddings", ["hello", "big world"])
    assert seen.headers["authorization"] == "Bearer edg_1"


def test_a_single_text_has_one(server: InferenceServer):
    assert embed(server.url, "edg_1", "nomic", "hello").embeddings == [[5.0, 1.0]]
    assert server.seen[0].body == {"model_id": "nomic", "input": "hello"}


def test_vectors_come_in_the_order_of_the_texts(server: InferenceServer):
    rows = [{"index": at, "embedding": [at]} for at in (2, 0, 1)]
    server.script(answer(rows))

    result = embed(server.url, "k", "m", ["a", "b", "c"])

    assert result.embeddings == [[0.0], [1.0], [2.0]]
    assert result.usage is None


def answer(rows: object, **more: object):
    return plainly(json.dumps({"data": rows, "model": "m", **more}).encode())


@pytest.mark.parametrize(
    "body",
    [
        answer([]),
        answer(None),
        answer([{"index": 0, "embedding": [1.0]}]),
        answer([{"index": 0, "embedding": [1.0]}] * 2),
        answer([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": "AAAA"}]),
        answer([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [True]}]),
        answer([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [10**400]}]),
        answer([{"index": 0, "embedding": [1.0]}, {"index": "1", "embedding": [1.0]}]),
        answer([{"embedding": [1.0]}, {"embedding": [1.0]}], usage=[3]),
        plainly(b"<html>"),
        plainly(b"[]"),
    ],
)
def test_what_are_no_embeddings_of_these_texts(server: InferenceServer, body):
    server.script(body)

    with pytest.raises(UnexpectedAnswerError, match="OCTOMIL_API_BASE"):
        embed(server.url, "k", "m", ["a", "b"])


def test_a_refusal_is_the_error_that_it_was(server: InferenceServer):
    server.script(refusing("unprocessable", 422, "input is empty"))

    with pytest.raises(UnprocessableError, match="input is empty"):
        embed(server.url, "k", "m", [])


def test_the_time_is_for_all_of_it(server: InferenceServer):
    server.script(streaming(b'{"data": ', Hold(), kind="application/json"))

    with pytest.raises(AnswerTimeoutError, match=r"0\.5 s"):
        embed(server.url, "k", "m", "a", timeout=0.5)


@pytest.mark.parametrize("given", [{"api_key": ""}, {"timeout": -1.0}, {"server_url": "x"}])
def test_what_makes_no_sense_is_refused(given):
    sensible = {"server_url": "http://x", "api_key": "k", "model_id": "m", "input": "a"}
    with pytest.raises(ConfigurationError):
        embed(**{**sensible, **given})
