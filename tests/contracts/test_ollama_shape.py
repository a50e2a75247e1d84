"""The server that stands in for Ollama has the shape that Ollama's official client expects."""

from collections.abc import Iterator

import ollama
import pytest

from support.ollama_api import BUSY, EMBEDDER, MODELS, NO_MEMORY, WRITER, OllamaApi, ollama_api


@pytest.fixture
def api() -> Iterator[OllamaApi]:
    with ollama_api() as api:
        yield api


@pytest.fixture
def client(api: OllamaApi) -> Iterator[ollama.Client]:
    with ollama.Client(host=api.url) as client:
        yield client


SAID = [{"role": "user", "content": "low tide at noon"}]


def test_a_chat_is_streamed(client: ollama.Client):
    *parts, last = client.chat(WRITER, SAID, stream=True)

    assert [part.message.content for part in parts] == ["low", " tide", " at", " noon"]
    assert (last.done, last.done_reason) == (True, "stop")
    assert (last.prompt_eval_count, last.eval_count) == (4, 4)


def test_a_limit_of_tokens_is_a_reason(client: ollama.Client):
    *_, last = client.chat(WRITER, SAID, stream=True, options={"num_predict": 2})

    assert (last.done_reason, last.eval_count) == ("length", 2)


def test_texts_are_embedded(client: ollama.Client):
    found = client.embed(EMBEDDER, ["one", "two"])

    assert len(found.embeddings) == 2
    assert found.prompt_eval_count == 2


def test_models_are_listed_and_shown(client: ollama.Client):
    assert [each.model for each in client.list().models] == list(MODELS)
    assert client.show(WRITER).capabilities == ["completion", "tools"]


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [("who@where", 400, "model is required"),
     ("nobody", 404, "model 'nobody:latest' not found"),
     (EMBEDDER, 400, '"all-minilm:latest" does not support chat')],
)  # fmt: skip
def test_refusals_have_a_status_and_a_reason(
    client: ollama.Client, model: str, status: int, message: str
):
    with pytest.raises(ollama.ResponseError) as refused:
        list(client.chat(model, SAID, stream=True))

    assert (refused.value.status_code, refused.value.error) == (status, message)


def test_a_busy_server_says_so(api: OllamaApi, client: ollama.Client):
    api.is_busy = True

    with pytest.raises(ollama.ResponseError) as refused:
        list(client.chat(WRITER, SAID, stream=True))

    assert (refused.value.status_code, refused.value.error) == (503, BUSY)


def test_an_error_inside_of_a_stream_is_a_line(api: OllamaApi, client: ollama.Client):
    api.fault = "error"

    with pytest.raises(ollama.ResponseError, match=NO_MEMORY):
        list(client.chat(WRITER, SAID, stream=True))
