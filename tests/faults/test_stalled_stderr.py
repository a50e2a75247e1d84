"""Whoever started the node reads its stderr no more."""

import fcntl
import signal
import subprocess
import sys

import httpx
import pytest

from support.nodes import chat

LISTENING = "[serve] Listening on "
LONG_ID = {"X-Request-Id": "r" * 100}
REQUESTS = 100
PIPE_BYTES = 4096  # room for some twenty lines
PATIENCE_S = 120.0  # one that is held up by its log would never end


@pytest.fixture
def unheard():
    """A node whose stderr nobody reads, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "octomil.cli.main", "serve", "echo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with process:
        try:
            url = next(line for line in process.stdout if line.startswith(LISTENING))
            yield process, url.removeprefix(LISTENING).strip()
        finally:
            process.kill()


def test_node_whose_log_nobody_reads_answers_and_ends(unheard):
    process, url = unheard
    with httpx.Client(base_url=url, timeout=PATIENCE_S, verify=False) as client:
        for _ in range(REQUESTS):
            answer = client.post("/v1/chat/completions", json=chat("hi"), headers=LONG_ID)
            assert answer.status_code == 200
        assert client.get("/health").status_code == 200

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=PATIENCE_S) == 0


def test_lines_wait_for_a_reader_who_comes_back(unheard):
    process, url = unheard
    with httpx.Client(base_url=url, timeout=PATIENCE_S, verify=False) as client:
        for _ in range(REQUESTS):
            client.post("/v1/chat/completions", json=chat("hi"), headers=LONG_ID)

    lines = [process.stderr.readline() for _ in range(REQUESTS)]

    assert all(line.startswith("[request] ") for line in lines)
