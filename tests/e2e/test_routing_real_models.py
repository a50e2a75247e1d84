"""`model: "auto"` over real models: each question to the cheapest that can answer it."""

import re

import pytest

from support.sandbox import run_code

pytestmark = pytest.mark.model

SMALL, CODER = "smollm2-135m", "qwen2.5-coder-1.5b"

SPEED = r"~\d+(\.\d+)? tok/ms"
START = [
    r"\[routing\] Loading 2 models:",
    rf"  Tier 1 \(fast\): smollm2-135m \(135M params, {SPEED}\)",
    rf"  Tier 3 \(quality\): qwen2\.5-coder-1\.5b \(1\.5B params, {SPEED}\)",
    r"\[routing\] Auto-routing enabled\. Queries routed by complexity\.",
    r"\[routing\] Tier-0 \(deterministic\): arithmetic, unit conversions",
    r"\[serve\] Listening on http://localhost:\d+",
]


def text(response):
    return response.json()["choices"][0]["message"]["content"]


def went_to(response):
    headers = response.headers
    assert int(headers["X-Octomil-Routing-Latency-Us"]) > 0
    return headers["X-Octomil-Routed-Model"], headers["X-Octomil-Routing-Tier"]


def test_start_up_lines_have_the_documented_shape_and_order(routed_server):
    assert len(routed_server.lines) == len(START)
    for line, pattern in zip(routed_server.lines, START, strict=True):
        assert re.fullmatch(pattern, line), line


def test_speeds_in_the_start_up_lines_were_measured(routed_server):
    fast, quality = (
        float(line.rpartition("~")[2].removesuffix(" tok/ms)")) for line in routed_server.lines[1:3]
    )

    assert min(fast, quality) > 0  # which of the two was in luck is this machine's business


def test_plain_question_is_answered_by_the_small_model(routed_server):
    response = routed_server.chat("What is the capital of France?", max_tokens=16, temperature=0)

    assert went_to(response) == (SMALL, "1")
    assert response.json()["model"] == SMALL
    assert re.search(r"[A-Za-z]{2}", text(response))
    assert response.json()["usage"]["completion_tokens"] > 1


def test_code_is_written_by_the_large_model_and_works(routed_server, tmp_path):
    response = routed_server.chat(
        "Write a Python function is_palindrome(text) that ignores case and spaces. "
        "Answer with the code only.",
        max_tokens=400,
        temperature=0,
    )

    assert went_to(response) == (CODER, "3")
    fenced = re.search(r"```(?:python)?\n(.*?)```", text(response), re.DOTALL)
    assert fenced, text(response)
    texts = ["Never odd or even", "octomil", "Level", ""]
    expression = f"[is_palindrome(text) for text in {texts!r}]"
    assert run_code(fenced[1], expression, tmp_path) == "[True, False, True, True]"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 2+2?", "4"),
        ("What is 15% of 240?", "36.0"),
        ("Convert 72°F to Celsius", "22.22°C"),
    ],
)
def test_arithmetic_needs_no_model(routed_server, question, answer):
    response = routed_server.chat(question)

    assert went_to(response) == ("tier0", "0")
    assert text(response) == answer
    assert response.json()["usage"]["total_tokens"] == 0


def test_streamed_answer_carries_the_same_headers(routed_server):
    response = routed_server.chat("What is the capital of France?", max_tokens=4, stream=True)

    assert went_to(response) == (SMALL, "1")
    assert response.text.endswith("data: [DONE]\n\n")


def test_statistics_count_what_went_where(routed_server):
    before = routed_server.get("/v1/routing/stats").json()["routing_distribution"]

    routed_server.chat("What is 2+2?")
    routed_server.chat("Hello there!", max_tokens=1)

    after = routed_server.get("/v1/routing/stats").json()["routing_distribution"]
    gained = {name: after[name]["count"] - before[name]["count"] for name in after}
    assert gained == {"tier0_deterministic": 1, SMALL: 1, CODER: 0}
    assert sum(share["percentage"] for share in after.values()) == pytest.approx(100)
