"""Real models that nobody named at start, in a memory that holds one of them at a time."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from support.hub import HubFile, running_hub
from support.models import model_cache_dir
from support.processes import below
from support.serving import ServeProcess, serving
from support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.model

CHAT, EMBEDDER = "smollm2-135m", "all-minilm-l6-v2"
SMALL = ("--ctx-size", "512", "--cache-size", "0", "--threads", "1")
TIGHT = ("--memory", "240")  # MiB: one is estimated at 196, the other at 86


@pytest.fixture(scope="module")
def node(model_cache: None) -> Iterator[ServeProcess]:
    with serving("--on-demand", *TIGHT, *SMALL) as served:
        yield served


def states(node: ServeProcess) -> dict[str, str]:
    listed = node.get("/v1/models").json()["data"]
    return {model["id"]: model["state"] for model in listed}


def workers(node: ServeProcess) -> list[psutil.Process]:
    return below(node.process.pid, "octomil.engines.llama_cpp.worker")


def embed(node: ServeProcess, model: str = EMBEDDER) -> httpx.Response:
    return node.post("/v1/embeddings", {"model": model, "input": ["tide tables", "a harbour"]})


def test_models_come_when_they_are_named_and_make_room_for_one_another(node: ServeProcess):
    assert workers(node) == []
    answer = node.chat("Name a sea.", model=CHAT, max_tokens=4)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] > 0
    (worker,) = workers(node)
    assert states(node)[CHAT] == "ready"

    vectors = embed(node, "all-minilm").json()["data"]

    assert [len(row["embedding"]) for row in vectors] == [384, 384]
    assert (states(node)[CHAT], states(node)[EMBEDDER]) == ("available", "ready")
    assert not worker.is_running()
    assert node.chat("Name a sea.", model=CHAT, max_tokens=4).status_code == 200
    assert states(node)[EMBEDDER] == "available"


def test_answer_that_is_being_written_is_not_cut_for_another_model(node: ServeProcess):
    body = {"model": CHAT, "messages": [{"role": "user", "content": "Tell a story."}]}
    body |= {"stream": True, "max_tokens": 64, "temperature": 0}
    url = f"{node.url}/v1/chat/completions"
    with (
        ThreadPoolExecutor() as asking,
        httpx.stream("POST", url, json=body, timeout=PATIENCE_S) as stream,
    ):
        lines = stream.iter_lines()
        first = next(lines)
        embedding = asking.submit(embed, node)
        rest = [line for line in lines if line]

    assert first.startswith("data: ")
    assert rest[-1] == "data: [DONE]"
    finishes = [json.loads(line[6:])["choices"][0]["finish_reason"] for line in rest[:-1]]
    assert finishes[-1] in ("stop", "length")
    assert embedding.result(PATIENCE_S).status_code == 200


def test_model_that_idles_is_unloaded(model_cache: None):
    with serving("--on-demand", "--idle-timeout", "1", *SMALL) as node:
        assert node.chat("Name a sea.", model=CHAT, max_tokens=2).status_code == 200

        eventually(lambda: [e for e in node.errors if "is unloaded: not used for 1 s" in e])
        eventually(lambda: not workers(node))
        assert node.chat("Name a sea.", model=CHAT, max_tokens=2).status_code == 200


def test_model_is_fetched_by_the_request_that_names_it(tmp_path, model_cache: None):
    """The hub's copy of one name is here the weights of another, which are known to run."""
    weights = (model_cache_dir() / "models" / CHAT / "model.gguf").read_bytes()
    with running_hub() as hub:
        name = "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf"
        hub.files[name] = HubFile(weights)
        env = {"HF_ENDPOINT": hub.url, "OCTOMIL_CACHE_DIR": str(tmp_path)}
        with serving("--on-demand", *SMALL, env=env) as node:
            answer = node.chat("Name a sea.", model="smollm-360m", max_tokens=2)

            assert answer.status_code == 200, answer.text
            assert (tmp_path / "models" / "smollm-360m" / "model.gguf").stat().st_size > 0
            assert states(node)["smollm-360m"] == "ready"
