"""A running node takes releases from another thread while clients stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from octomil.engines.base import Capabilities, EventStream, GenerationRequest, Progress
from octomil.engines.echo import EchoEngine
from octomil.engines.pooled import EngineState, HeldRelease
from octomil.errors import (
    DigestMismatchError,
    EngineError,
    GenerationError,
    InvalidModelFileError,
    ModelUnavailableError,
    OctomilError,
)
from octomil.serve.activation import NodeActivator, ReleasedFiles, Replacement
from octomil.serve.node import Node
from octomil.serve.served import ServedModel
from support.nodes import client_of, node_of

CLIENTS = 16


@dataclass(frozen=True)
class Version:
    """A release of the echo engine, with an engine of its own."""

    number: str
    engine: EchoEngine = field(default_factory=lambda: EchoEngine("small"))
    model_id: str = "m"
    folder: Path = Path()
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return self.number

    @property
    def digest(self) -> str:
        return f"sha256:{self.number}"


class Served:
    """A node that serves `small`, its activator, and what that said."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.lines: list[str] = []
        self.damaged: set[str] = set()
        self.activator = NodeActivator(
            node,
            {"m": "small"},
            self._prepare,
            loop=asyncio.get_running_loop(),
            say=self.lines.append,
        )

    def _prepare(self, name: str, release: ReleasedFiles) -> Replacement:
        assert isinstance(release, Version)

        def require_whole() -> None:
            if release.digest in self.damaged:
                raise DigestMismatchError("a byte is wrong")

        held = HeldRelease(
            model_id="m",
            version=release.number,
            digest=release.digest,
            require_whole=require_whole,
        )
        model = ServedModel(name=name, parameters=int(release.number))
        return Replacement(model=model, engine=release.engine, release=held)

    async def activate(self, release: Version) -> None:
        await asyncio.to_thread(self.activator.activate, release)

    async def running(self) -> str | None:
        return await asyncio.to_thread(self.activator.running, "m")


@asynccontextmanager
async def serving(**engines: EchoEngine) -> AsyncIterator[Served]:
    async with node_of(engines or {"small": EchoEngine("small")}) as node:
        yield Served(node)


async def test_release_takes_the_place_of_the_one_before():
    async with serving() as served:
        assert await served.running() is None

        for number in ("1", "2"):
            await served.activate(Version(number))

            assert await served.running() == f"sha256:{number}"
            assert served.activator.problem("m") is None
            assert served.node.models["small"].parameters == int(number)
        assert served.lines == ["small: serves 1, sha256:1", "small: serves 2, sha256:2"]
        assert "sha256:2" in served.activator.in_use()


async def test_no_request_fails_while_releases_come_one_after_the_other():
    """Each client streams on until all releases have come; every answer is whole."""
    text = "one two three four five six"
    over = asyncio.Event()
    answers: list[str] = []

    async with serving(small=EchoEngine("small", delay_s=0.001)) as served:
        async with client_of(served.node) as client:

            async def ask() -> None:
                body = {"model": "small", "prompt": text, "stream": True}
                while not over.is_set():
                    answer = await client.post("/v1/completions", json=body)
                    answers.append(said(answer.text) if answer.is_success else answer.text)

            asking = [asyncio.create_task(ask()) for _ in range(CLIENTS)]
            for number in range(1, 6):
                release = Version(str(number), EchoEngine("small", delay_s=0.001))
                await served.activate(release)
                before = len(answers)
                while len(answers) <= before + CLIENTS:  # so one of them has begun after the swap
                    await asyncio.sleep(0)
                assert served.node.pool.engine("small") is release.engine
            over.set()
            await asyncio.gather(*asking)

        usages = served.node.usages.take()
    assert set(answers) == {text}
    assert {row.digest for row in usages} == {f"sha256:{number}" for number in range(1, 6)}
    assert sum(row.errors for row in usages) == 0


def said(stream: str) -> str:
    *events, end = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    assert end == "[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["text"] for choice in choices)


class Broken(EchoEngine):
    """Does not load, or loads and answers nothing."""

    def __init__(self, *, loads: bool) -> None:
        super().__init__("small")
        self._loads = loads

    async def load(self, progress: Progress) -> None:
        if not self._loads:
            raise EngineError("it does not load")
        await super().load(progress)

    def stream(self, request: GenerationRequest) -> EventStream:
        raise GenerationError("it does not answer")


class Wordless(EchoEngine):
    """Makes vectors alone."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(chat=False, completions=False, embeddings=True)


@pytest.mark.parametrize(
    ("engine", "refusal", "complaint"),
    [
        (Broken(loads=False), EngineError, "does not load"),
        (Broken(loads=True), EngineError, "does not answer"),
        (Wordless("small"), InvalidModelFileError, "no conversations"),
    ],
)
async def test_release_that_does_not_work_leaves_the_one_before(
    engine: EchoEngine, refusal: type[OctomilError], complaint: str
):
    async with serving() as served:
        await served.activate(Version("1"))

        with pytest.raises(refusal, match=complaint):
            await served.activate(Version("2", engine))

        assert await served.running() == "sha256:1"
        assert served.node.models["small"].parameters == 1


async def test_release_whose_bytes_have_changed_is_not_what_runs():
    async with serving() as served:
        await served.activate(Version("1"))
        served.damaged.add("sha256:1")

        assert await served.running() is None


async def test_node_that_shuts_down_takes_no_release():
    async with serving() as served:
        served.activator.close()

        with pytest.raises(ModelUnavailableError, match="shutting down"):
            await served.activate(Version("1"))


class Endless(EchoEngine):
    """Loads until it is told to stop."""

    def __init__(self) -> None:
        super().__init__("small")
        self.loading = asyncio.Event()

    async def load(self, progress: Progress) -> None:
        self.loading.set()
        await asyncio.Event().wait()


async def test_swap_that_is_under_way_when_the_node_shuts_down_is_given_up():
    async with serving() as served:
        engine = Endless()
        activating = asyncio.create_task(served.activate(Version("1", engine)))
        await engine.loading.wait()

        served.activator.close()

        with pytest.raises(ModelUnavailableError, match="shutting down"):
            await activating


async def test_engine_that_cannot_be_asked_is_a_problem():
    async with serving() as served:
        await served.activate(Version("1"))
        served.node.pool["small"].become(EngineState.RESTARTING, "again in 1 s")

        assert served.activator.problem("m") == "the engine of small is restarting: again in 1 s"
        assert await served.running() is None


async def test_engine_that_keeps_failing_is_a_problem():
    async with serving() as served:
        await served.activate(Version("1"))
        for _ in range(5):
            with pytest.raises(GenerationError), served.node.breakers.call("small"):
                raise GenerationError("nothing but noise")

        assert "kept failing" in (served.activator.problem("m") or "")
        await served.activate(Version("2"))
        assert served.activator.problem("m") is None
