"""Real models that were made for one thing only, asked for others."""

import math
from collections.abc import Iterator

import pytest

from octomil.config import Settings
from octomil.engines.llama_cpp.engine import LlamaCppEngine
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.models.pull import ModelStore
from support.models import model_cache_dir
from support.serving import ServeProcess, serving

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def mixed(model_cache: None) -> Iterator[ServeProcess]:
    """A node whose first and smallest model continues text, and chats with nobody."""
    models = "gemma-3-270m,smollm2-135m"
    with serving("--models", models, "--auto-route", "--ctx-size", "512") as served:
        yield served


def test_chat_with_a_base_model_is_a_400_that_names_one_that_chats(mixed):
    response = mixed.chat("Hello", model="gemma-3-270m")

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"] == "model 'gemma-3-270m' cannot do chat; ask smollm2-135m"
    assert error["param"] == "model"


@pytest.mark.parametrize("content", ["Hi", "Explain in depth why the sky is blue. " * 5])
def test_chat_is_never_routed_to_a_base_model(mixed, content):
    response = mixed.chat(content, max_tokens=1)

    assert response.status_code == 200
    assert response.headers["X-Octomil-Routed-Model"] == "smollm2-135m"


def test_base_model_continues_text(mixed):
    body = {"model": "gemma-3-270m", "prompt": "The sea is", "max_tokens": 2}

    response = mixed.post("/v1/completions", body)

    assert response.status_code == 200
    assert response.json()["usage"]["completion_tokens"] == 2


def test_several_prompts_are_counted_together(mixed):
    def prompt_tokens(prompt: str | list[str]) -> int:
        body = {"model": "smollm2-135m", "prompt": prompt, "max_tokens": 1, "n": 2}
        return mixed.post("/v1/completions", body).json()["usage"]["prompt_tokens"]

    one, other = "The sea is", "Once upon a time, in a village"

    assert prompt_tokens([one, other]) == prompt_tokens(one) + prompt_tokens(other)


async def test_worker_of_an_embedding_model_makes_vectors_and_says_that_it_does_nothing_else():
    path = ModelStore(Settings(cache_dir=model_cache_dir())).pull("smollm2-135m").path
    spec = WorkerSpec(name="m", path=path, context_tokens=256, cache_mib=0, kind="embedding")
    engine = LlamaCppEngine(spec)
    await engine.load(print)
    try:
        able = engine.capabilities
        (vector,) = (await engine.embed(["the sea"])).vectors
    finally:
        await engine.close()

    assert (able.chat, able.completions, able.tools, able.embeddings) == (False, False, False, True)
    assert math.hypot(*vector) == pytest.approx(1)
