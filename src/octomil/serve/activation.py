"""The serving node as what runs a device's releases: each takes its model's place while it serves.

The agent of `octomil.device` calls a `NodeActivator` from its own thread; the swap itself happens
on the node's event loop. The two packages do not know each other: the composition root joins them.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from octomil.engines.base import Capabilities, Engine
from octomil.engines.pooled import EngineState, HeldRelease, PooledEngine
from octomil.errors import InvalidModelFileError, ModelError, ModelUnavailableError
from octomil.serve.node import Node
from octomil.serve.served import ServedModel
from octomil.serve.smoke import smoke_test

_KINDS = {"chat": "conversations", "completions": "raw text", "embeddings": "embeddings"}


class ReleasedFiles(Protocol):
    """A released version whose files are on this machine."""

    @property
    def model_id(self) -> str:
        """The model's id at the control plane."""
        ...

    @property
    def version(self) -> str:
        """Its number."""
        ...

    @property
    def digest(self) -> str:
        """Of its manifest."""
        ...

    @property
    def folder(self) -> Path:
        """Where it lies whole."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """By format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What is to take the place of a served model.

    Attributes:
        model: the new one, under the name of the old.
        engine: runs it; not loaded yet.
        release: what it is made from.
    """

    model: ServedModel
    engine: Engine
    release: HeldRelease


class NodeActivator:
    """Puts releases to use in a running node, and tells which of them its engines hold.

    Its methods are called from a thread that is not the node's.

    Args:
        node: what serves; loaded.
        names: the name that each model is served under, by its id at the control plane.
        prepare: makes the replacement of a served model out of a release; blocks, and raises an
            `OctomilError` where it will not fit into memory or is no model that this node runs.
        loop: the node's event loop, running.
        say: called with one line for people when a model was replaced.
    """

    def __init__(
        self,
        node: Node,
        names: Mapping[str, str],
        prepare: Callable[[str, ReleasedFiles], Replacement],
        *,
        loop: asyncio.AbstractEventLoop,
        say: Callable[[str], None],
    ) -> None:
        self._node = node
        self._names = names
        self._prepare = prepare
        self._loop = loop
        self._say = say
        self._lock = Lock()
        self._is_closed = False
        self._swap: Future[None] | None = None

    def activate(self, release: ReleasedFiles) -> None:
        """Serve a release in place of the one before it, without failing a request.

        Raises:
            ModelError: it is not what the node serves under that name, or does not fit into memory.
            EngineError: it does not load, or does not answer; what ran before still does.
            ModelUnavailableError: the node is shutting down, which says nothing about the release.
        """
        replacement = self._prepare(self._names[release.model_id], release)
        with self._lock:
            if self._is_closed:
                raise _leaving()
            swap = asyncio.run_coroutine_threadsafe(self._replace(replacement), self._loop)
            self._swap = swap
        try:
            swap.result()
        except CancelledError as error:
            raise _leaving() from error

    def running(self, model_id: str) -> str | None:
        """Return the digest of the release that the model's engine holds open; None if it is gone.

        It is that of the engine, not of what was wanted, and its bytes are read again: engines map
        their file into memory, so that what changes there changes what runs.
        """
        entry = self._node.pool[self._names[model_id]]
        held = entry.release
        if held is None or held.model_id != model_id or entry.state is not EngineState.READY:
            return None
        try:
            held.require_whole()
        except ModelError:
            return None
        return held.digest

    def problem(self, model_id: str) -> str | None:
        """Return why the model's engine cannot be asked now, for people; None if it can."""
        name = self._names[model_id]
        entry = self._node.pool[name]
        if entry.state is not EngineState.READY:
            return f"the engine of {name} is {entry.state}: {entry.detail or 'nobody knows why'}"
        if not self._node.breakers.admits(name):
            return f"the engine of {name} kept failing, and is not asked for now"
        return None

    def in_use(self) -> set[str]:
        """Return the digests of the releases that engines hold open, leaving ones included."""
        return {release.digest for release in self._node.pool.releases()}

    def close(self) -> None:
        """Begin no swap any more, and give up the one that is under way."""
        with self._lock:
            self._is_closed = True
            if self._swap is not None:
                self._swap.cancel()

    async def _replace(self, replacement: Replacement) -> None:
        name, release = replacement.model.name, replacement.release

        async def prove(new: PooledEngine, old: PooledEngine) -> None:
            _require_kinds(name, old.engine.capabilities, new.engine.capabilities)
            await _prove(self._node, replacement.model, new)

        await self._node.pool.swap(name, replacement.engine, prove, release)
        self._say(f"{name}: serves {release.version}, {release.digest}")


async def load_instead(node: Node, replacement: Replacement) -> None:
    """Load what takes the place of a model that could not be loaded.

    Raises:
        OctomilError: it cannot either.
    """

    async def prove(new: PooledEngine, _failed: PooledEngine) -> None:
        await _prove(node, replacement.model, new)

    name = replacement.model.name
    await node.pool.swap(name, replacement.engine, prove, replacement.release)


async def _prove(node: Node, model: ServedModel, new: PooledEngine) -> None:
    """Have a loaded engine answer; if it does, the node serves the model as it is now."""
    pace = await smoke_test(new.engine)
    node.models[model.name] = model
    node.recorder.stats.forget_speed(model.name)
    if pace is not None:
        node.recorder.stats.observe_speed(model.name, *pace)


def _require_kinds(name: str, before: Capabilities, now: Capabilities) -> None:
    """Refuse what would turn clients away who were answered until now.

    Raises:
        InvalidModelFileError: the new engine lacks a kind of answer that the old one gives.
    """
    for kind, what in _KINDS.items():
        if getattr(before, kind) and not getattr(now, kind):
            raise InvalidModelFileError(
                f"the release makes no {what}, which {name!r} is asked for here; release it as a "
                "model of another name"
            )


def _leaving() -> ModelUnavailableError:
    return ModelUnavailableError("the node is shutting down, so that it takes no release any more")
