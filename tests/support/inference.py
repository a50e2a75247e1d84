"""What is asked of models by way of the control plane."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from octomil.http.sse import event_data
from support.control import API

INFERENCE = f"{API}/inference"
STREAM = f"{API}/inference/stream"
BATCH = f"{API}/inference/batch"
EMBEDDINGS = f"{API}/embeddings"
HEALTH = f"{API}/inference/health"


def user(text: str) -> list[dict[str, str]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def asked(text: str, **more: Any) -> dict[str, Any]:
    """A request for the model `m`."""
    return {"model_id": "m", "messages": user(text), **more}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The data of a stream's events."""
    return [json.loads(data) for data in event_data(stream)]


@contextmanager
def nobody() -> Iterator[str]:
    """The URL of a place that refuses connections until the block ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
