"""Models that a node fetches and loads when a request names them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from octomil.engines.base import Engine
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState
from octomil.errors import EngineUnavailableError, InvalidRequestError, UnknownModelError
from octomil.models.local import LocalModel
from octomil.models.offers import Offer, Offers
from octomil.models.partial import format_size
from octomil.models.references import ModelRef
from octomil.models.sources.base import ProgressSink
from octomil.serve.served import ServedModel
from octomil.serve.till import Till

_COME_BACK_S = 5.0

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model whose files are here.

    Attributes:
        files: what it is run from; None for one that has none.
        memory_bytes: what it is estimated to take while it is loaded.
    """

    files: LocalModel | None
    memory_bytes: int


class Supply(Protocol):
    """Where models come from."""

    def fetch(self, ref: ModelRef, progress: ProgressSink) -> Fetched:
        """Fetch what a model is run from; blocks meanwhile.

        Raises:
            InsufficientSpaceError: it would not fit, whatever else were unloaded.
            ModelError: it cannot be had.
        """
        ...

    def engine(self, ref: ModelRef, files: LocalModel | None) -> Engine:
        """Return what runs it, not loaded yet."""
        ...

    def model(self, name: str, ref: ModelRef, files: LocalModel | None) -> ServedModel:
        """Return what requests are told about it."""
        ...


@dataclass(slots=True)
class Fetch:
    """A model on its way; told from the thread that fetches it."""

    ref: ModelRef
    task: "asyncio.Task[str] | None" = None
    line: str = "being looked for"

    def advance(self, _name: str, done_bytes: int, total_bytes: int) -> None:
        """Note how far it is."""
        of = f" of {format_size(total_bytes)}" if total_bytes else ""
        self.line = f"{format_size(done_bytes)}{of} are here"

    def note(self, message: str) -> None:
        """Note what a person waiting should know."""
        self.line = message


@dataclass(slots=True, kw_only=True)
class OnDemand:
    """Sees to it that the model a request names is loaded, if it may be.

    Attributes:
        offers: which models may be.
        supply: where they come from.
        pool: where they run; it makes room for them.
        models: what the node serves, by name; those that come join it.
        other_names: what served models are called besides; likewise.
        references: the served models' names by what they are, so that none is there twice.
        till: learns that those that run here cost nothing.
        most_waiting: requests that may wait for each model.
        report: called with one line for people when a model cannot be fetched.
    """

    offers: Offers
    supply: Supply
    pool: EnginePool
    models: dict[str, ServedModel]
    other_names: dict[str, str]
    references: dict[str, str]
    till: Till
    most_waiting: int
    report: Callable[[str], None]
    _fetches: dict[str, Fetch] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)

    async def bring(self, named: str, *, embeds: bool) -> None:
        """Fetch and load the model that a request names, unless it is loaded.

        It goes on coming when the request is given up: the next will find it.

        Args:
            named: by the client.
            embeds: whether it is asked for vectors, and not for text.

        Raises:
            UnknownModelError: there is none of that name; the nearest are suggested.
            EngineUnavailableError: too many requests wait for it already.
            InvalidRequestError: it is known not to do what it is asked for.
            OctomilError: it cannot be fetched or loaded.
        """
        if self.other_names.get(named, named) not in self.models:
            offer = await asyncio.to_thread(self.offers.find, named)
            if offer is None:
                raise UnknownModelError(
                    f"no model {named!r} is served here; {await self._hint(named)}"
                )
            _require_able(named, offer, embeds=embeds)
            with self._in_line(str(offer.ref)):
                self.other_names[named] = await self._fetched(named, offer.ref)
        name = self.other_names.get(named, named)
        entry = self.pool[name]
        if entry.lazy and entry.state is not EngineState.READY:
            with self._in_line(name):
                await self.pool.ready(name)

    async def _fetched(self, named: str, ref: ModelRef) -> str:
        """Return the name that a model is served under, once it can be loaded."""
        reference = str(ref)
        if reference in self.references:
            return self.references[reference]
        fetch = self._fetches.get(reference)
        if fetch is None:
            fetch = self._fetches[reference] = Fetch(ref)
            fetch.task = asyncio.create_task(self._fetch(named, fetch), name=f"fetch {reference}")
            fetch.task.add_done_callback(lambda task: self._ended(reference, task))
        assert fetch.task is not None
        return await asyncio.shield(fetch.task)

    async def _fetch(self, named: str, fetch: Fetch) -> str:
        ref = fetch.ref
        fetched = await _in_a_thread_of_its_own(lambda: self.supply.fetch(ref, fetch))
        name = ref.target if ref.kind == "catalog" else ref.name
        if name in self.models:  # another of the same name
            name = named
        engine = self.supply.engine(ref, fetched.files)
        self.pool.add(name, engine, lazy=True, memory_bytes=fetched.memory_bytes)
        model = self.models[name] = self.supply.model(name, ref, fetched.files)
        if model.local:
            self.till.costs_nothing(name)
        self.references[str(ref)] = name
        return name

    def _ended(self, reference: str, task: "asyncio.Task[str]") -> None:
        del self._fetches[reference]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(f"model {reference!r} could not be fetched: {error}")

    @contextmanager
    def _in_line(self, name: str) -> Iterator[None]:
        waiting = self._waiting.get(name, 0)
        if waiting >= self.most_waiting:
            raise EngineUnavailableError(
                f"model {name!r} is not loaded yet, and {waiting} requests wait for it already",
                retry_after_s=_COME_BACK_S,
            )
        self._waiting[name] = waiting + 1
        try:
            yield
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]

    async def _hint(self, name: str) -> str:
        near = await asyncio.to_thread(self.offers.nearest, name)
        return f"did you mean {' or '.join(near)}?" if near else "`octomil models` lists the names"

    def under_way(self) -> dict[str, dict[str, Any]]:
        """Return the models that are being fetched, and how far each is."""
        return {
            fetch.ref.name: {"state": "fetching", "detail": fetch.line}
            for fetch in self._fetches.values()
        }

    async def listing(self) -> dict[str, dict[str, Any]]:
        """Return how each model fares that can be asked for, by name.

        A model that is neither loaded nor on its way is `available`; `local` tells whether it need
        not be fetched.
        """
        offers = await asyncio.to_thread(self.offers.by_name)
        shown = {name: self._served(name, local=model.local) for name, model in self.models.items()}
        for name, offer in offers.items():
            served = self.references.get(str(offer.ref))
            if served is not None:
                shown[name] = shown[served] = self._served(served, local=offer.is_here)
            elif name not in shown:
                shown[name] = self._offered(offer)
        return shown

    def _served(self, name: str, *, local: bool) -> dict[str, Any]:
        entry = self.pool[name]
        state = "available" if entry.state is EngineState.WAITING else str(entry.state)
        detail = {"detail": entry.detail} if entry.detail else {}
        return {"state": state, "local": local, **detail}

    def _offered(self, offer: Offer) -> dict[str, Any]:
        fetch = self._fetches.get(str(offer.ref))
        if fetch is None:
            return {"state": "available", "local": offer.is_here}
        return {"state": "fetching", "local": False, "detail": fetch.line}

    async def close(self) -> None:
        """Wait for nothing more; a transfer that was cut off goes on another time."""
        tasks = [fetch.task for fetch in self._fetches.values() if fetch.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _require_able(named: str, offer: Offer, *, embeds: bool) -> None:
    """Refuse, before anything is fetched, what is known not to do what it is asked for."""
    if offer.kind is None or (offer.kind == "embedding") is embeds:
        return
    does = (
        "writes text and makes no embeddings" if embeds else "makes embeddings and writes no text"
    )
    raise InvalidRequestError(f"model {named!r} {does}", param="model")


async def _in_a_thread_of_its_own(call: Callable[[], ResultT]) -> ResultT:
    """Make a call that may take very long, without the end of the process waiting for it."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[ResultT] = loop.create_future()

    def settle(value: ResultT | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001 - raised again where it is awaited
            error = raised
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return await result
