"""`octomil.Client` as it asks models that run elsewhere, against a real server."""

from collections.abc import Iterator

import pytest

from octomil import Client, EmbeddingUsage
from octomil.errors import ServiceUnavailableError
from support.inference_server import InferenceServer, inference_server, refusing

MESSAGES = [{"role": "user", "content": "Write a haiku"}]


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with inference_server() as server:
        yield server


@pytest.fixture
def client(server: InferenceServer) -> Iterator[Client]:
    with Client(api_key="edg_1", api_base=server.url) as client:
        yield client


def test_a_client_streams_tokens(server: InferenceServer, client: Client):
    parameters = {"temperature": 0.8, "max_tokens": 64}
    tokens = list(client.stream_predict("phi", MESSAGES, parameters=parameters, timeout=120.0))

    assert "".join(token.token for token in tokens) == "Write a haiku"
    assert [token.done for token in tokens] == [False, False, False, True]
    (seen,) = server.seen
    assert seen.body == {"model_id": "phi", "messages": MESSAGES, "parameters": parameters}
    assert seen.headers["authorization"] == "Bearer edg_1"


async def test_a_client_streams_tokens_in_an_event_loop(server: InferenceServer, client: Client):
    found = client.stream_predict_async("phi", "Explain", parameters={"max_tokens": 8})

    assert [token.token async for token in found] == ["Explain", ""]
    (seen,) = server.seen
    assert seen.body["input_data"] == "Explain"
    assert seen.body["parameters"] == {"max_tokens": 8}


def test_a_client_embeds(server: InferenceServer, client: Client):
    result = client.embed(model_id="nomic", input=["hello", "big world"], timeout=30.0)

    assert result.embeddings == [[5.0, 1.0], [9.0, 1.0]]
    assert result.model == "nomic"
    assert result.usage == EmbeddingUsage(3, 3)


def test_errors_are_those_of_the_server(server: InferenceServer, client: Client):
    server.script(refusing("service_unavailable", 503, "no backend is up", Retry_After="3600"))

    with pytest.raises(ServiceUnavailableError, match="no backend is up"):
        next(client.stream_predict("phi", MESSAGES))
