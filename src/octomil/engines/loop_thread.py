"""An event loop in a thread of its own, for engines that are asked from plain code and from loops.

Whoever asks may be a thread without a loop, or have a loop of its own that must not be blocked, and
that ends before the engines do.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Final, TypeVar

from octomil.errors import EngineUnavailableError

ResultT = TypeVar("ResultT")
PieceT = TypeVar("PieceT")


class _End:
    """What follows the last piece."""


_END: Final = _End()


class LoopThread:
    """An event loop that runs from the first to `close`.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._is_closed = False
        # A daemon: whoever forgets to close it can end all the same.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Keep the loop from being closed until the block ends.

        Raises:
            EngineUnavailableError: it is closed.
        """
        with self._lock:
            if self._is_closed:
                raise EngineUnavailableError("the models were disposed of; load them again")
            yield

    def begin(self, work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        """Start some work in the loop; cancelling what comes back cancels it.

        Raises:
            EngineUnavailableError: the loop is closed.
        """
        try:
            with self._open():
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        except EngineUnavailableError:
            work.close()
            raise

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do some work in the loop, and wait for it; an interrupt cancels it.

        Not for the loop's own thread. Raises what the work raises, and what `begin` does.
        """
        future = self.begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def iterate(self, pieces: AsyncGenerator[PieceT, None]) -> AsyncGenerator[PieceT, None]:
        """Yield, in the caller's loop, what a generator makes in this one.

        Closing it, or cancelling who waits for it, closes the generator, and returns when that is
        done. Raises what the generator raises, and what `begin` does.
        """
        here = asyncio.get_running_loop()
        arrived: asyncio.Queue[PieceT | _End] = asyncio.Queue()

        def hand_over(item: PieceT | _End) -> None:
            with suppress(RuntimeError):  # that loop has ended, and with it whoever waited
                here.call_soon_threadsafe(arrived.put_nowait, item)

        async def produce() -> None:
            async with aclosing(pieces):
                async for piece in pieces:
                    hand_over(piece)

        producing: list[asyncio.Task[None]] = []

        def start() -> None:
            task = self._loop.create_task(produce())
            task.add_done_callback(lambda _: hand_over(_END))  # also if it never came to run
            producing.append(task)

        def stop() -> None:
            producing[0].cancel()

        with self._open():
            self._loop.call_soon_threadsafe(start)
        item: PieceT | _End | None = None
        try:
            while (item := await arrived.get()) is not _END:
                yield item  # type: ignore[misc]  # the only other kind has just been excluded
            producing[0].result()
        finally:
            with suppress(RuntimeError):  # the loop has been closed, and all in it cancelled
                self._loop.call_soon_threadsafe(stop)
            while item is not _END:
                item = await arrived.get()

    def close(self, last: Coroutine[Any, Any, object], *, wait: bool = True) -> None:
        """Do some last work, take no more, and end the thread; closing twice is harmless.

        Args:
            last: the work.
            wait: for all that. Raises then what the last work raises.
        """
        with self._lock:
            if self._is_closed:
                last.close()
                return
            self._is_closed = True
            ending = asyncio.run_coroutine_threadsafe(last, self._loop)
        ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if wait:
            try:
                ending.result()
            finally:
                self._thread.join()
