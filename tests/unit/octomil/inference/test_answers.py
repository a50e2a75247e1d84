"""Whole answers from a real server."""

import pytest

from octomil.errors import AnswerTimeoutError, NotFoundError, UnexpectedAnswerError
from octomil.inference import InferenceResult, TokenUsage, complete
from support.inference_server import (
    SESSION,
    Hold,
    InferenceServer,
    plainly,
    refusing,
    streaming,
)


def test_an_answer_comes_whole(server: InferenceServer):
    result = complete(server.url, "edg_1", "phi", "Hello there", {"max_tokens": 8})

    usage = TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert result == InferenceResult("Hello there", "phi", "ollama", 2.5, SESSION, "stop", usage)
    (seen,) = server.seen
    assert seen.path == "/api/v1/inference"
    assert seen.body == {
        "model_id": "phi", "input_data": "Hello there", "parameters": {"max_tokens": 8}
    }  # fmt: skip


def test_another_try_bears_the_same_key(server: InferenceServer):
    server.script(refusing("service_unavailable", 503, Retry_After="0"))

    assert complete(server.url, "k", "m", "Hello").output == "Hello"
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1
    assert len(server.seen) == 2


def test_a_model_that_nobody_has(server: InferenceServer):
    server.script(refusing("not_found", 404, "no backend has 'phi'"))

    with pytest.raises(NotFoundError, match="no backend has 'phi'"):
        complete(server.url, "k", "phi", "Hello")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"output": 1, "model_id": "m"}', b'"hi"'])
def test_what_is_no_answer(server: InferenceServer, body: bytes):
    server.script(plainly(body))

    with pytest.raises(UnexpectedAnswerError):
        complete(server.url, "k", "m", "Hello")


def test_the_time_is_for_all_of_it(server: InferenceServer):
    server.script(streaming(b"{", Hold(), kind="application/json"))

    with pytest.raises(AnswerTimeoutError):
        complete(server.url, "k", "m", "Hello", timeout=0.5)
