"""`make run` prints requests to try: typed as printed, each gets a right answer."""

import re
import shlex

import pytest

from support.documents import NODE_URL, Curl
from support.sandbox import run_code
from support.serving import serving
from support.waiting import eventually

pytestmark = pytest.mark.model

SMALL, CODER = "smollm2-135m", "qwen2.5-coder-1.5b"


@pytest.fixture(scope="module")
def answers(model_cache):
    """The answers to the printed requests, in their order."""
    flags = ("--models", f"{SMALL},{CODER}", "--auto-route", "--fallback", "--examples")
    with serving(*flags) as served:
        eventually(lambda: len(printed(served)) == 3)
        curls = [
            Curl.parse(shlex.split(line.replace(served.url, NODE_URL))) for line in printed(served)
        ]
        return [curl.send(served.url) for curl in curls]


def printed(served):
    return [line for line in served.lines if line.strip().startswith("curl ")]


def text(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_plain_question_that_the_small_model_gets_wrong_is_escalated(answers):
    capital, _, _ = answers

    assert "Paris" in text(capital)
    assert capital.headers["X-Octomil-Routed-Model"] == CODER
    assert capital.headers["X-Octomil-Escalated-From"] == SMALL


def test_code_is_written_by_the_coder_and_works(answers, tmp_path):
    _, code, _ = answers

    assert code.headers["X-Octomil-Routed-Model"] == CODER
    fenced = re.search(r"```(?:python)?\n(.*?)```", text(code), re.DOTALL)
    assert fenced, text(code)
    name = re.search(r"^def (\w+)\(", fenced[1], re.MULTILINE)[1]
    assert run_code(fenced[1], f"{name}('stressed')", tmp_path) == "'desserts'"


def test_percentage_is_exact_and_needs_no_model(answers):
    _, _, percentage = answers

    assert text(percentage) == "36.0"
    assert percentage.headers["X-Octomil-Routed-Model"] == "tier0"
