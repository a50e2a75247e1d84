"""Whole answers from the control plane."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octomil.http.api import ApiClient
from octomil.http.connection import bearer_of
from octomil.http.deadline import Deadline
from octomil.http.exchange import Request
from octomil.http.problems import unexpected
from octomil.http.records import parse_json
from octomil.inference.fields import number_or_none, object_of, text_of, text_or_none
from octomil.inference.queries import Messages, query_body
from octomil.inference.tokens import usage_of
from octomil.wire.inference import TokenUsage

ANSWER_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """A model's answer.

    Attributes:
        output: its text.
        model_id: the model that answered.
        provider: the backend that generated it.
        latency_ms: milliseconds that the control plane took.
        session_id: what it calls the answer.
        finish_reason: why it ends: `stop`, `length`.
        usage: what it took, if the backend tells.
    """

    output: str
    model_id: str
    provider: str | None = None
    latency_ms: float | None = None
    session_id: str | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None

    @classmethod
    def read(cls, body: bytes) -> "InferenceResult":
        """Read an answer of `POST /inference`.

        Raises:
            ValueError: it is none.

        Example:
            >>> InferenceResult.read(b'{"output": "Hi", "model_id": "m"}').output
            'Hi'
        """
        said = object_of(parse_json(body), "the answer")
        return cls(
            text_of(said, "output"),
            text_of(said, "model_id"),
            text_or_none(said, "provider"),
            number_or_none(said, "latency_ms"),
            text_or_none(said, "session_id"),
            text_or_none(said, "finish_reason"),
            usage_of(said),
        )


def complete(
    server_url: str,
    api_key: str,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None = None,
    timeout: float = ANSWER_TIMEOUT_S,
) -> InferenceResult:
    """Return a model's answer from a control plane, whole.

    What fails for now is tried again; an answer that broke off on its way is generated anew then.
    Where one that has begun should not be lost, stream it.

    Args:
        server_url: such as `http://127.0.0.1:8000/api/v1`; an address without a path gets that one.
        api_key: a key with the scope `inference:use`.
        model_id: the model, by the name that the control plane's backends know.
        input_data: what the user says; or a conversation, as a list of messages.
        parameters: such as `temperature` and `max_tokens`.
        timeout: seconds for all of it: connecting, trying again, generating, reading.

    Raises:
        ConfigurationError: address, key or timeout make no sense.
        AnswerTimeoutError: the whole answer was not there in time.
        OctomilClientError: the control plane refuses, or does not answer; the class tells.
    """
    with ApiClient(server_url, bearer_of(api_key)) as api:
        return fetch_answer(api, model_id, input_data, parameters, timeout)


def fetch_answer(
    api: ApiClient,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> InferenceResult:
    """Return an answer over a client that is there; otherwise as :func:`complete`."""
    answer = api.send(
        Request(
            method="POST",
            path="/inference",
            json=query_body(model_id, input_data, parameters),
            deadline=Deadline(timeout_s),
        )
    )
    try:
        return InferenceResult.read(answer.content)
    except ValueError as error:
        raise unexpected(answer) from error
