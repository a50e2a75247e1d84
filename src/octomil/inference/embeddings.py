"""Embeddings from the control plane: one vector for each text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octomil.http.api import ApiClient
from octomil.http.connection import bearer_of
from octomil.http.deadline import Deadline
from octomil.http.exchange import Request
from octomil.http.problems import unexpected
from octomil.http.records import parse_json
from octomil.inference.fields import count_of, misfit, number_of, object_of, text_of

EMBED_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class EmbeddingUsage:
    """How many tokens the texts had.

    Attributes:
        prompt_tokens: read.
        total_tokens: the same, as nothing is generated.
    """

    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors of texts.

    Attributes:
        embeddings: one vector for each text, in the order of the texts, each as long as the model's
            embeddings are.
        model: the model that made them.
        usage: what it took; None where the server does not tell.
    """

    embeddings: list[list[float]]
    model: str
    usage: EmbeddingUsage | None

    @classmethod
    def read(cls, body: bytes, texts: int) -> "EmbeddingResult":
        """Read an answer of `POST /embeddings` to so many texts.

        Raises:
            ValueError: it is none.

        Example:
            >>> body = b'{"data": [{"index": 0, "embedding": [0.6, 0.8]}], "model": "m"}'
            >>> EmbeddingResult.read(body, 1).embeddings
            [[0.6, 0.8]]
        """
        said = object_of(parse_json(body), "the answer")
        rows = said.get("data")
        if not isinstance(rows, list):
            raise misfit("'data'", "no list", rows)
        vectors = {_index(row, place): _vector(row) for place, row in enumerate(rows)}
        if len(rows) != texts or vectors.keys() != set(range(texts)):
            raise ValueError(f"{texts:,} texts have {len(rows):,} embeddings, of {len(vectors):,}")
        return cls([vectors[at] for at in range(texts)], text_of(said, "model"), _usage(said))


def embed(
    server_url: str,
    api_key: str,
    model_id: str,
    input: str | Sequence[str],  # noqa: A002 - the documented name
    timeout: float = EMBED_TIMEOUT_S,
) -> EmbeddingResult:
    """Return embeddings of texts from a control plane.

    Args:
        server_url: such as `http://127.0.0.1:8000/api/v1`; an address without a path gets that one.
        api_key: a key with the scope `inference:use`.
        model_id: the model, by the name that the control plane's backends know.
        input: a text, or several.
        timeout: seconds for all of it: connecting, trying again, embedding, reading.

    Raises:
        ConfigurationError: address, key or timeout make no sense.
        AnswerTimeoutError: the whole answer was not there in time.
        OctomilClientError: the control plane refuses, or does not answer; the class tells.
    """
    with ApiClient(server_url, bearer_of(api_key)) as api:
        return fetch_embeddings(api, model_id, input, timeout)


def fetch_embeddings(
    api: ApiClient, model_id: str, texts: str | Sequence[str], timeout_s: float = EMBED_TIMEOUT_S
) -> EmbeddingResult:
    """Return embeddings over a client that is there; otherwise as :func:`embed`."""
    asked = texts if isinstance(texts, str) else list(texts)
    answer = api.send(
        Request(
            method="POST",
            path="/embeddings",
            json={"model_id": model_id, "input": asked},
            deadline=Deadline(timeout_s),
        )
    )
    try:
        return EmbeddingResult.read(answer.content, 1 if isinstance(asked, str) else len(asked))
    except ValueError as error:
        raise unexpected(answer) from error


def _index(row: Any, place: int) -> int:
    found = object_of(row, "an embedding")
    return place if found.get("index") is None else count_of(found, "index")


def _vector(row: Mapping[str, Any]) -> list[float]:
    vector = row.get("embedding")
    if not isinstance(vector, list):
        raise misfit("'embedding'", "no list", vector)
    return [number_of(each, "a number of an embedding") for each in vector]


def _usage(said: Mapping[str, Any]) -> EmbeddingUsage | None:
    if said.get("usage") is None:
        return None
    usage = object_of(said["usage"], "'usage'")
    return EmbeddingUsage(count_of(usage, "prompt_tokens"), count_of(usage, "total_tokens"))
