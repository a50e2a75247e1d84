"""`octomil up --node`: a serving node that starts, comes back and ends with the control plane."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from support.control import upping
from support.processes import below, is_gone
from support.serving import ServeProcess
from support.waiting import eventually

NODE_LINE = "[serve] Listening on "


@pytest.fixture
def up(tmp_path: Path) -> Iterator[ServeProcess]:
    with upping(tmp_path / "data", "--node", "echo:small,echo:large", "--node-port", "0") as served:
        yield served


def node_urls(served: ServeProcess) -> list[str]:
    return [line.removeprefix(NODE_LINE) for line in served.lines if line.startswith(NODE_LINE)]


def node_process(served: ServeProcess) -> psutil.Process:
    (child,) = below(served.process.pid, "serve")
    return child


def answer_of(url: str) -> str:
    body = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120)
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_both_answer_and_both_end(up: ServeProcess):
    (url,) = eventually(lambda: node_urls(up))
    node = node_process(up)

    assert answer_of(url) == "4"
    assert up.get("/health").status_code == 200
    assert up.stop() == 0
    assert is_gone(node.pid)


def test_node_that_dies_comes_back(up: ServeProcess):
    eventually(lambda: node_urls(up))
    node_process(up).kill()

    _, url = eventually(lambda: urls if len(urls := node_urls(up)) == 2 else None)

    assert answer_of(url) == "4"
    assert any("was ended by signal 9" in line for line in up.lines)


def test_node_does_not_outlive_a_killed_control_plane(up: ServeProcess):
    eventually(lambda: node_urls(up))
    node = node_process(up)

    up.process.send_signal(signal.SIGKILL)
    up.process.wait(timeout=120)

    eventually(lambda: is_gone(node.pid))
