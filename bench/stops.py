"""A real store in which actors stop: before each statement, each commit, and around transactions.

They stop, too, when the blob store has answered, as if it had done so late.

SQLite lets one transaction write at a time, and the others wait for it. Here they wait to be
resumed: `StoppingStore.writer` tells whom they wait for.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Engine, event

from bench.turns import Actor, present_actor
from octomil.control.ports import SystemTransaction, Transaction
from octomil.control.stores.sql import SqlStore
from octomil.control.stores.sqlite import open_engines
from octomil.control.threads import ServiceThreads

READING, WAITING, WRITING, WRITTEN = "reading", "about to write", "writing", "written"
ANSWERED = "answered by the blob store"
STOPS: Final = (READING, WAITING, WRITING, WRITTEN, ANSWERED)

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class StoppingStore:
    """Opens the transactions of a SQLite file that is up to date; an actor stops in them.

    Args:
        path: the file.
        passes: tells whether the present actor passes a stop this time.

    Attributes:
        writer: who is in a transaction that writes.
    """

    def __init__(self, path: Path, passes: Callable[[str], bool]) -> None:
        self.writer: Actor | None = None
        self._passes = passes
        engines = open_engines(path)
        self._listen(engines.reader, READING)
        self._listen(engines.writer, WRITING)
        self._store = SqlStore(engines)

    @contextmanager
    def transaction(self, organisation: str) -> Iterator[Transaction]:
        """Begin to read and write, once nobody else does."""
        with self._writing(), self._store.transaction(organisation) as tx:
            yield tx
            self.stop(WRITING)
        self.stop(WRITTEN)

    @contextmanager
    def snapshot(self, organisation: str) -> Iterator[Transaction]:
        """Begin to read."""
        with self._store.snapshot(organisation) as tx:
            yield tx

    @contextmanager
    def system(self) -> Iterator[SystemTransaction]:
        """Begin to read and write what is no organisation's own, once nobody else does."""
        with self._writing(), self._store.system() as tx:
            yield tx
            self.stop(WRITING)
        self.stop(WRITTEN)

    @contextmanager
    def system_snapshot(self) -> Iterator[SystemTransaction]:
        """Begin to read what is no organisation's own."""
        with self._store.system_snapshot() as tx:
            yield tx

    @contextmanager
    def group(self) -> Iterator[None]:
        """Begin a group, once nobody else writes."""
        with self._writing(), self._store.group():
            yield
            self.stop(WRITING)
        self.stop(WRITTEN)

    def scrub(self) -> None:
        """Take what was overwritten out of the file."""
        self._store.scrub()

    def close(self) -> None:
        """Close every connection."""
        self._store.close()

    def stop(self, at: str) -> None:
        """Let the present actor wait to be resumed, unless it passes this time."""
        actor = present_actor()
        if actor is not None and not self._passes(at):
            actor.stop(at)

    def keeps_waiting(self, actor: Actor) -> bool:
        """Tell whether an actor waits for another one's transaction to end."""
        return actor.at == WAITING and self.writer not in {None, actor}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        actor = present_actor()
        if actor is not None:
            actor.stop(WAITING)
        self.writer = actor
        try:
            yield
        finally:
            self.writer = None

    def _listen(self, engine: Engine, at: str) -> None:
        def stop(*_: object) -> None:
            self.stop(at)

        event.listen(engine, "before_cursor_execute", stop)


class HereAndNow(ServiceThreads):
    """Service calls in the thread that makes them, at once: an actor has but one.

    Args:
        store: where the actors stop.
        answered: is called when the blob store has answered, however late.
    """

    def __init__(self, store: StoppingStore, answered: Callable[[], None]) -> None:
        super().__init__(store.group)
        self._store = store
        self._answered = answered

    async def write(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return call(*args, **kwargs)

    async def read(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return call(*args, **kwargs)

    async def move(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        answer = call(*args, **kwargs)
        self._store.stop(ANSWERED)
        self._answered()
        return answer


def run_through(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that waits for nothing but calls that are made here and now.

    Raises:
        RuntimeError: it waits for something else.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits for more than calls of services")
