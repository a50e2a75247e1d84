"""A server that speaks Ollama's own API: chat as newline-delimited JSON, embed, tags, show, errors.

It says the last message back, word by word, and misbehaves where a test tells it to. After
https://github.com/ollama/ollama/blob/main/docs/api.md; its shape is checked with the official
Python client.
"""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from octomil.engines.echo import EchoEngine
from support.servers import app_served
from support.waiting import PATIENCE_S

MODELS: Mapping[str, Mapping[str, Any]] = {
    "llama3.2:3b": {
        "capabilities": ["completion", "tools"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
    },
    "all-minilm:latest": {
        "capabilities": ["embedding"],
        "model_info": {"general.architecture": "bert", "bert.context_length": 512},
    },
}

WRITER, EMBEDDER = "llama3.2:3b", "all-minilm"
CREATED_AT = "2026-11-22T12:00:00.000000Z"
BUSY = "server busy, please try again.  maximum pending requests exceeded"
NO_MEMORY = "llama runner process has terminated: out of memory"

_NAME = re.compile(r"([\w.:-]+/)?([\w-]+/)?[\w.-]+(:[\w.-]+)?", re.ASCII)
"""Host, namespace, model and tag; whatever else is asked for is called no name at all."""

Fault = Literal["cut", "error", "garbage", "early end"]


async def show(request: Request) -> JSONResponse:
    """`/api/show`: what a model can do."""
    found = _named((await request.json())["model"])
    if found not in MODELS:
        return _refusal(404, f"model '{found}' not found")
    return JSONResponse(dict(MODELS[found]))


class OllamaApi:
    """The running server; tests tell it how to behave, and read what it has seen.

    Attributes:
        url: where it listens.
        seen: bodies of `/api/chat`.
        is_busy: refuse every chat with 503.
        fault: what breaks answers after their first word.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[dict[str, Any]] = []
        self.is_busy = False
        self.fault: Fault | None = None
        self._changed = threading.Condition()
        self._waiting = self._left = 0
        self._warm: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_cold = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/show", show, methods=["POST"]),
                Route("/api/tags", self._tags, methods=["GET"]),
                Route("/api/embed", self._embed, methods=["POST"]),
                Route("/api/chat", self._chat, methods=["POST"]),
            ]
        )

    def chill(self) -> None:
        """Have chats wait for their model to be loaded, until `warm_up`."""
        self._is_cold = True

    def warm_up(self) -> None:
        """Let every chat go on."""
        self._is_cold = False
        if self._loop is not None and self._warm is not None:
            self._loop.call_soon_threadsafe(self._warm.set)

    def await_loading(self) -> None:
        """Return once a chat waits for its model."""
        self._await(lambda: self._waiting > 0, "a chat that waits for its model")

    def await_hang_up(self) -> None:
        """Return once a client has left while its model was loaded."""
        self._await(lambda: self._left > 0, "a client that leaves")

    def _await(self, holds: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_S), f"waited in vain for {what}"

    async def _tags(self, _: Request) -> JSONResponse:
        listed = [
            {"name": name, "model": name, "modified_at": CREATED_AT, "size": 2_019_393_189,
             "digest": "a" * 64, "details": {"format": "gguf", "family": "llama",
                                             "parameter_size": "3.2B",
                                             "quantization_level": "Q4_K_M"}}
            for name in MODELS
        ]  # fmt: skip
        return JSONResponse({"models": listed})

    async def _embed(self, request: Request) -> JSONResponse:
        body = await request.json()
        name, texts = _named(body["model"]), body["input"]
        if name not in MODELS:
            return _refusal(404, f'model "{name}" not found, try pulling it first')
        if "embedding" not in MODELS[name]["capabilities"]:
            return _refusal(501, "this model does not support embeddings")
        engine = EchoEngine(name)
        await engine.load(lambda line: None)
        found = await engine.embed([texts] if isinstance(texts, str) else texts)
        return JSONResponse(
            {"model": body["model"], "embeddings": found.vectors, "total_duration": 14_143_917,
             "load_duration": 1_019_500, "prompt_eval_count": found.prompt_tokens}
        )  # fmt: skip

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        if not _NAME.fullmatch(body["model"]):
            return _refusal(400, "model is required")
        name = _named(body["model"])
        if self.is_busy:
            return _refusal(503, BUSY)
        if name not in MODELS:
            return _refusal(404, f"model '{name}' not found")
        if "completion" not in MODELS[name]["capabilities"]:
            return _refusal(400, f'"{name}" does not support chat')
        return _Lines(self, body)

    async def loaded(self, receive: Receive) -> bool:
        """Wait until the model is there; tell whether the client still is."""
        if not self._is_cold:
            return True
        self._loop, self._warm = asyncio.get_running_loop(), self._warm or asyncio.Event()
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
        warm = asyncio.ensure_future(self._warm.wait())
        left = asyncio.ensure_future(receive())  # the next message is that the client has left
        await asyncio.wait((warm, left), return_when=asyncio.FIRST_COMPLETED)
        for each in (warm, left):
            each.cancel()
        await asyncio.gather(warm, left, return_exceptions=True)
        if left.cancelled():
            return True
        with self._changed:
            self._left += 1
            self._changed.notify_all()
        return False


class _Lines(Response):
    """A chat's answer, a JSON object a line."""

    media_type = "application/x-ndjson"

    def __init__(self, api: OllamaApi, body: dict[str, Any]) -> None:
        super().__init__()
        self._api, self._body = api, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._api.loaded(receive):
            return
        headers = [(b"content-type", self.media_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for line in self._lines():
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _lines(self) -> AsyncIterator[bytes]:
        options = self._body.get("options") or {}
        text = self._body["messages"][-1]["content"]
        words = re.findall(r"\s*\S+", text)
        most = options.get("num_predict", len(words))
        for number, word in enumerate(words[:most]):
            if number == 1 and self._api.fault is not None:
                for line in _faulty(self._api.fault):
                    yield line
                return
            yield self._line({"message": {"role": "assistant", "content": word}, "done": False})
        yield self._line(
            {"message": {"role": "assistant", "content": ""}, "done": True,
             "done_reason": "length" if most < len(words) else "stop",
             "total_duration": 4_883_583_458, "load_duration": 1_334_875,
             "prompt_eval_count": len(words), "prompt_eval_duration": 342_546_000,
             "eval_count": min(most, len(words)), "eval_duration": 4_535_599_000}
        )  # fmt: skip

    def _line(self, told: dict[str, Any]) -> bytes:
        head = {"model": self._body["model"], "created_at": CREATED_AT}
        return json.dumps({**head, **told}).encode() + b"\n"


class BrokenConnectionError(Exception):
    """Raised in the middle of an answer, so that the server breaks the connection."""


def _faulty(fault: Fault) -> Iterator[bytes]:
    match fault:
        case "cut":
            raise BrokenConnectionError
        case "error":
            yield json.dumps({"error": NO_MEMORY}).encode() + b"\n"
        case "garbage":
            yield b"<html>\n"
        case "early end":
            return


def _named(model: str) -> str:
    return model if ":" in model else f"{model}:latest"


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)


@contextmanager
def ollama_api() -> Iterator[OllamaApi]:
    """Run the server until the block ends."""
    api = OllamaApi()
    with app_served(api.app()) as url:
        api.url = url
        yield api
        api.warm_up()
