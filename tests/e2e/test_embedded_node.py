"""`octomil up` on a fresh machine answers: by a serving node that the first request starts."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.control import bearer, printed_key, upping
from support.inference import EMBEDDINGS, INFERENCE, STREAM, events_of, user
from support.processes import below, is_gone
from support.serving import ServeProcess
from support.waiting import PATIENCE_S, eventually

NO_OLLAMA = {"OLLAMA_BASE_URL": "http://127.0.0.1:1"}
ALIASES = NO_OLLAMA | {"OCTOMIL_MODEL_ALIASES": "tiny=echo:tiny,other=echo:other"}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[ServeProcess]:
    env = ALIASES | {"OCTOMIL_CACHE_DIR": str(tmp_path / "cache")}
    with upping(tmp_path / "data", env=env) as served:
        yield served


def ask(up: ServeProcess, model: str, text: str = "a b", **more: Any) -> httpx.Response:
    key = printed_key(up)
    assert key is not None
    body = {"model_id": model, "messages": user(text), **more}
    return up.post(INFERENCE, body, headers=bearer(key))


def nodes(up: ServeProcess) -> list[psutil.Process]:
    return below(up.process.pid, "serve")


def test_first_request_starts_a_node_and_later_ones_find_it(up: ServeProcess):
    assert nodes(up) == []

    first = ask(up, "tiny")
    (node,) = nodes(up)
    second = ask(up, "other", "c d")

    assert first.status_code == 200, first.text
    assert (first.json()["output"], first.json()["provider"]) == ("a b", "octomil")
    assert second.json()["output"] == "c d"
    assert nodes(up) == [node]
    assert up.stop() == 0
    assert is_gone(node.pid)


def test_answer_streams_from_the_node(up: ServeProcess):
    key = printed_key(up)
    assert key is not None
    answer = up.post(STREAM, {"model_id": "tiny", "messages": user("a b")}, headers=bearer(key))

    events = events_of(answer.content)
    assert "".join(event["token"] for event in events) == "a b"
    assert [event["done"] for event in events][-1] is True


def test_nobody_else_on_the_machine_may_ask_the_node(up: ServeProcess):
    ask(up, "tiny")
    (node,) = nodes(up)
    listening = [each for each in node.net_connections("tcp") if each.status == "LISTEN"]
    places = {(each.laddr.ip, each.laddr.port) for each in listening}

    ((address, port),) = places
    refused = httpx.get(f"http://{address}:{port}/v1/models", timeout=120)

    assert address == "127.0.0.1"
    assert refused.status_code == 401
    key = node.environ()["OCTOMIL_SERVE_KEY"]
    assert key not in " ".join(node.cmdline())
    fine = httpx.get(f"http://{address}:{port}/v1/models", headers=bearer(key), timeout=120)
    assert fine.status_code == 200


def test_unknown_model_is_refused_with_the_nearest(up: ServeProcess):
    refused = ask(up, "tinny")

    assert refused.status_code == 503, "the Ollama that was set up, and is not there, may have it"
    assert "did you mean tiny" in refused.json()["message"]


def test_node_that_is_killed_comes_back_at_the_same_place(up: ServeProcess):
    ask(up, "tiny")
    (node,) = nodes(up)
    node.kill()
    eventually(lambda: any("was ended by signal 9" in line for line in up.lines))

    answer = eventually(lambda: a if (a := ask(up, "tiny")).status_code == 200 else None)

    assert answer.json()["provider"] == "octomil"
    assert node not in nodes(up)


def test_node_does_not_outlive_a_killed_control_plane(up: ServeProcess):
    ask(up, "tiny")
    (node,) = nodes(up)

    up.process.send_signal(signal.SIGKILL)
    up.process.wait(timeout=120)

    eventually(lambda: is_gone(node.pid))


def test_node_beside_the_control_plane_is_the_one_that_answers(tmp_path: Path):
    env = ALIASES | {"OCTOMIL_SERVE_KEY": "a-key-of-the-operator"}
    flags = ("--node", "echo:small", "--node-port", "0")
    with upping(tmp_path / "data", *flags, env=env) as up:
        served, came = ask(up, "small"), ask(up, "tiny")

        assert [answer.json()["provider"] for answer in (served, came)] == ["octomil"] * 2
        assert len(nodes(up)) == 1


def test_without_a_node_nothing_answers(tmp_path: Path):
    with upping(tmp_path / "data", "--no-node", env=NO_OLLAMA) as up:
        refused = ask(up, "smollm2-135m")

        assert refused.status_code == 503
        assert "octomil" not in refused.json()["message"]
        assert nodes(up) == []


def test_port_of_the_node_that_is_taken_is_told_at_once(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ("--node", "echo:small", "--node-port", port)
        with upping(tmp_path / "data", *flags, wait_ready=False) as up:
            assert up.process.wait(timeout=PATIENCE_S) != 0
            eventually(lambda: any("choose another with --node-port" in e for e in up.errors))


@pytest.mark.model
def test_real_model_answers_on_a_fresh_machine(tmp_path: Path, model_cache: None):
    with upping(tmp_path / "data", env=NO_OLLAMA) as up:
        answer = ask(up, "smollm2-135m", "Name a sea.", parameters={"max_tokens": 4}).json()
        body = {"model_id": "all-minilm-l6-v2", "input": ["tide tables", "a harbour"]}
        vectors = up.post(EMBEDDINGS, body, headers=bearer(printed_key(up) or "")).json()

    assert [len(row["embedding"]) for row in vectors["data"]] == [384, 384]
    assert vectors["provider"] == "octomil"
    assert answer["provider"] == "octomil"
    assert answer["output"]
    assert answer["usage"]["completion_tokens"] in range(1, 5)
