"""Messages that ask for several things, answered by real models."""

import pytest

from support.sse import read_stream

pytestmark = pytest.mark.model

SMALL, CODER = "smollm2-135m", "qwen2.5-coder-1.5b"
MIXED = "Explain gravity, then calculate 15% of 340."
CODE = "What is the capital of France? Write a Python function that reverses a string."
CHAIN = "Write a Python function that reverses a string, then explain how it works."


def told(response) -> tuple[str, list[str]]:
    assert response.status_code == 200, response.text
    assert response.headers["X-Octomil-Decomposed"] == "true"
    return (
        response.headers["X-Octomil-Subtasks"],
        response.headers["X-Octomil-Subtask-Models"].split(","),
    )


def test_model_and_tier_zero_share_one_message(routed_server):
    response = routed_server.chat(MIXED, max_tokens=40, temperature=0)

    count, (explains, calculates) = told(response)
    assert (count, calculates) == ("2", "tier0")
    assert explains in (SMALL, CODER)
    text = response.json()["choices"][0]["message"]["content"]
    assert "gravit" in text.lower()
    assert text.endswith("\n\n51.0")
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert response.json()["usage"]["completion_tokens"] == 40


def test_exact_answer_follows_the_model_s(routed_server):
    response = routed_server.chat(
        "Calculate 15% of 340. Then name the capital of France.", max_tokens=24, temperature=0
    )

    _, (calculates, names) = told(response)
    assert calculates == "tier0"
    assert names in (SMALL, CODER)
    assert response.json()["choices"][0]["message"]["content"].startswith("51.0\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_two_models_answer_one_message(routed_server, stream):
    options = {"stream_options": {"include_usage": True}} if stream else {}

    response = routed_server.chat(CODE, max_tokens=120, temperature=0, stream=stream, **options)

    count, models = told(response)
    assert (count, models[1]) == ("2", CODER)
    if stream:
        answer = read_stream(response)
        text, (usage,) = answer.text, answer.usages
        assert (len(answer.finish_reasons), answer.dones) == (1, 1)
    else:
        text = response.json()["choices"][0]["message"]["content"]
        usage = response.json()["usage"]
    assert "def " in text
    assert 0 < usage["completion_tokens"] <= 120
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_explanation_is_of_the_function_that_was_written(routed_server):
    response = routed_server.chat(CHAIN, max_tokens=300, temperature=0)

    assert told(response)[0] == "2"
    text = response.json()["choices"][0]["message"]["content"]
    assert "def " in text
    assert response.json()["usage"]["prompt_tokens"] > 80  # the second prompt holds the answer


def test_statistics_tell_where_the_tasks_went(routed_server):
    before = routed_server.get("/v1/routing/stats").json()

    routed_server.chat("What is 2+2? What is the capital of France?", max_tokens=16)

    after = routed_server.get("/v1/routing/stats").json()
    assert after["total_requests"] == before["total_requests"] + 1
    assert after["subtasks"]["total"] == before["subtasks"]["total"] + 2
