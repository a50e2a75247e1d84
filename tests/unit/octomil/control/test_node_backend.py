"""The backend over a node of this machine: when it is started, and what its refusals mean."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager

import pytest

from octomil.asgi.server import listen
from octomil.config import Settings
from octomil.control.backend_metrics import BackendMetrics
from octomil.control.backends.catalog import open_backends
from octomil.control.backends.node import NodeBackend
from octomil.control.backends.replies import refusal
from octomil.control.ports import GenerationQuery
from octomil.control.services.backend_chain import BackendChain
from octomil.control.serving_node import ServingNode
from octomil.engines.base import Embeddings
from octomil.engines.upstream import Reply
from octomil.errors import (
    EngineRefusedError,
    EngineUnavailableError,
    EngineUnreachableError,
    InsufficientSpaceError,
    InvalidModelFileError,
    ModelUnavailableError,
    UnknownModelError,
)
from octomil.wire.inference import Message
from support.backends import EchoBackend
from support.waiting import PATIENCE_S


class Process:
    """A process that is started, and may be down."""

    def __init__(self) -> None:
        self.starts = 0
        self.is_down = False

    @property
    def is_started(self) -> bool:
        return self.starts > 0

    def start(self) -> None:
        self.starts += 1

    @contextmanager
    def told_of_end(self, tell: Callable[[], object]) -> Iterator[None]:
        yield


def backend(process: Process) -> NodeBackend:
    return NodeBackend(process, EchoBackend("octomil", ["m"]), lambda: {"m": 1, "n": 2})


def query(model: str = "m") -> GenerationQuery:
    return GenerationQuery(model=model, messages=[Message(role="user", content="a b")])


async def text_of(node: NodeBackend) -> str:
    async with aclosing(node.stream(query())) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_to_ask_what_it_could_answer_starts_nothing():
    process = Process()

    assert await backend(process).models() == ["m", "n"]
    assert not process.is_started


async def test_requests_start_it():
    writing, embedding = Process(), Process()

    assert await text_of(backend(writing)) == "a b"
    await backend(embedding).embed("m", ["a"])

    assert writing.is_started
    assert embedding.is_started
    assert await backend(writing).models() == ["m"]


async def test_while_it_is_down_it_is_unreachable():
    process = Process()
    process.start()
    process.is_down = True

    with pytest.raises(EngineUnreachableError):
        await text_of(backend(process))
    with pytest.raises(EngineUnreachableError):
        await backend(process).embed("m", ["a"])
    with pytest.raises(EngineUnreachableError):
        await backend(process).models()


@pytest.fixture
def stillborn() -> Iterator[NodeBackend]:
    """The backend over a node whose process always ends with status 2, before it takes anything."""
    listener = listen("127.0.0.1", 0)
    with ServingNode(["--no-such-flag"], listener, drain_s=0, say=print) as node:
        found = open_backends(Settings(), node)[-1]
        assert isinstance(found, NodeBackend)
        yield found


async def test_whoever_waits_for_a_node_that_ends_first_is_told(stillborn: NodeBackend):
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(EngineUnreachableError, match="has ended"):
            await text_of(stillborn)
        with pytest.raises(EngineUnreachableError, match="has ended"):
            await stillborn.embed("m", ["a"])
        with pytest.raises(EngineUnreachableError, match="has ended"):
            await stillborn.models()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "model_not_found", UnknownModelError),
        (503, "model_unavailable", ModelUnavailableError),
        (500, "model_unusable", InvalidModelFileError),
        (507, "insufficient_space", InsufficientSpaceError),
        (503, "engine_unavailable", ModelUnavailableError),
        (502, "engine_crashed", ModelUnavailableError),
        (502, "generation_failed", ModelUnavailableError),
        (429, "queue_full", ModelUnavailableError),
        (504, "queue_timeout", ModelUnavailableError),
        (429, "spend_cap_reached", ModelUnavailableError),
        (503, "shutting_down", EngineUnavailableError),
        (500, "internal_error", EngineRefusedError),
    ],
)
def test_refusal_for_the_model_alone_is_told_from_one_of_the_server(
    status: int, code: str, kind: type[Exception]
):
    body = json.dumps({"error": {"message": "it says why", "code": code}}).encode()

    error = refusal(Reply(status, body), "m")

    assert type(error) is kind
    assert "it says why" in str(error)


def test_refusal_for_now_says_when_to_come_back():
    body = json.dumps({"error": {"message": "the line is full", "code": "queue_full"}}).encode()

    error = refusal(Reply(429, body, retry_after_s=7.0), "m")

    assert isinstance(error, ModelUnavailableError)
    assert error.retry_after_s == 7.0


class Choosy(EchoBackend):
    """Cannot have one of its models now."""

    async def embed(self, model: str, texts: list[str]) -> Embeddings:
        if model == "absent":
            raise ModelUnavailableError("the hub cannot be reached", retry_after_s=7.0)
        return await super().embed(model, texts)


async def test_model_that_cannot_be_had_speaks_against_no_other():
    chain = BackendChain([Choosy("octomil")], BackendMetrics())

    for _ in range(20):
        with pytest.raises(EngineUnavailableError, match="the hub cannot be reached") as refused:
            await chain.embed("absent", ["a"])
        assert refused.value.retry_after_s == 7.0

    assert (await chain.embed("m", ["a"]))[0] == "octomil"
