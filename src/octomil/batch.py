"""A FIFO queue in front of an engine: bounded, cancellation-safe, with a deadline for waiting.

One caller at a time reaches the engine (or `max_concurrency` of them, for an engine with that many
slots). The queue has no worker task: a caller runs its own request once it is its turn, so a lone
request costs two counter updates, and a cancelled caller cannot take another's answer with it.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from octomil.errors import ConfigurationError, QueueError, QueueFullError, QueueTimeoutError

__all__ = ["QueueFullError", "QueueStats", "QueueTimeoutError", "RequestQueue"]

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A snapshot of a queue.

    Attributes:
        pending: requests waiting for their turn.
        active: requests the engine works on.
        max_depth: how many may wait.
        max_concurrency: how many the engine works on at once.
        completed: requests that had their turn and left.
        rejected: requests refused because `max_depth` were waiting.
        timed_out: requests that waited longer than the timeout.
    """

    pending: int
    active: int
    max_depth: int
    max_concurrency: int
    completed: int
    rejected: int
    timed_out: int


class _OpenStream:
    """A stream that has its turn.

    Attributes:
        chunks: what the engine yields.
        reads: how often its reader came for another chunk.
        is_unread: whether its reader has a chunk, and has not come for the next.
        has_ended: whether its turn is over.
    """

    __slots__ = ("chunks", "has_ended", "is_unread", "reads")

    def __init__(self) -> None:
        self.chunks: AsyncIterator[Any] | None = None
        self.reads = 0
        self.is_unread = self.has_ended = False


class RequestQueue:
    """Serialise requests to an engine, first come, first served.

    Args:
        max_depth: how many requests may wait; the next one raises `QueueFullError`.
        timeout: seconds a request may *wait*; a request that runs is never failed by it.
        max_concurrency: how many requests may run at once.

    Example:
        >>> async def main():
        ...     queue = RequestQueue(max_depth=32, timeout=60.0)
        ...     queue.start()
        ...     async def double(x):
        ...         return 2 * x
        ...     print(await queue.submit_generate(21, generate_fn=double))
        ...     await queue.stop()
        >>> asyncio.run(main())
        42
    """

    def __init__(
        self, max_depth: int = 32, timeout: float = 60.0, *, max_concurrency: int = 1
    ) -> None:
        if max_depth < 0:
            raise ConfigurationError(f"max_depth must be 0 or more, got {max_depth}")
        if not timeout > 0:
            raise ConfigurationError(f"timeout must be above 0 seconds, got {timeout}")
        self.max_depth = max_depth
        self.timeout = timeout
        self._accepting = False
        self._active = 0
        self._waiting: dict[asyncio.Future[None], asyncio.TimerHandle] = {}
        self._streams: set[_OpenStream] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._completed = self._rejected = self._timed_out = 0
        self.resize(max_concurrency)

    def start(self) -> None:
        """Begin to take requests. Starting twice is harmless."""
        self._accepting = True

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """Take no more requests, fail those that wait, and return when those that run have left.

        A stream whose reader does not come for the next chunk is ended, and its reader, should it
        come later, is told so by a `QueueError`.

        Args:
            grace_s: seconds that the reader of a stream may stay away from now on.
        """
        self._accepting = False
        for turn in list(self._waiting):
            self._fail(turn, QueueError("the queue was stopped before this request had its turn"))
        while not self._idle.is_set():
            unread = [(stream, stream.reads) for stream in self._streams if stream.is_unread]
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace_s)
            for stream, reads in unread:
                if stream.is_unread and stream.reads == reads:
                    await self._end(stream)

    def stats(self) -> QueueStats:
        """Tell how busy the queue is."""
        return QueueStats(
            pending=len(self._waiting),
            active=self._active,
            max_depth=self.max_depth,
            max_concurrency=self.max_concurrency,
            completed=self._completed,
            rejected=self._rejected,
            timed_out=self._timed_out,
        )

    async def submit_generate(
        self, request: RequestT, generate_fn: Callable[[RequestT], Awaitable[ResultT] | ResultT]
    ) -> ResultT:
        """Run `generate_fn(request)` when it is its turn, and return what it returns.

        Raises:
            QueueFullError: `max_depth` requests wait already.
            QueueTimeoutError: the turn did not come in time; `generate_fn` was not called.
            QueueError: the queue is not started, or was stopped meanwhile.
        """
        await self.acquire()
        try:
            result = generate_fn(request)
            return await result if inspect.isawaitable(result) else result
        finally:
            self.release()

    async def submit_generate_stream(
        self, request: RequestT, generate_stream_fn: Callable[[RequestT], AsyncIterator[ResultT]]
    ) -> AsyncIterator[ResultT]:
        """Yield from `generate_stream_fn(request)` when it is its turn.

        The turn ends with the stream: when it is exhausted, fails, or is closed by its reader; and
        when the queue stops while nobody reads. Raises what `submit_generate` raises.
        """
        await self.acquire()
        stream = _OpenStream()
        self._streams.add(stream)
        try:
            stream.chunks = generate_stream_fn(request)
            async for chunk in stream.chunks:
                stream.is_unread = True
                yield chunk
                stream.is_unread = False
                stream.reads += 1
                if stream.has_ended:
                    raise QueueError("the queue was stopped while nobody read this stream")
        finally:
            await self._end(stream)

    async def _end(self, stream: "_OpenStream") -> None:
        """Close a stream and end its turn, once."""
        if stream.has_ended:
            return
        stream.has_ended = True
        self._streams.discard(stream)
        try:
            if isinstance(stream.chunks, AsyncGenerator):
                await stream.chunks.aclose()
        finally:
            self.release()

    async def acquire(self) -> None:
        """Wait for a turn; whoever got one calls :meth:`release` once.

        Raises what `submit_generate` raises.
        """
        if not self._accepting:
            raise QueueError("the queue takes no requests; call start() first")
        if self._active < self.max_concurrency:  # so nobody waits: see `release`
            self._active += 1
            self._idle.clear()
            return
        if len(self._waiting) >= self.max_depth:
            self._rejected += 1
            raise QueueFullError(f"{self.max_depth} requests are waiting already; try again later")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting[turn] = loop.call_later(self.timeout, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            expiry = self._waiting.pop(turn, None)
            if expiry is not None:
                expiry.cancel()
            elif not turn.cancelled() and turn.exception() is None:
                self.release()  # the turn had been granted, and nobody is left to take it
            raise

    def release(self) -> None:
        """End a turn and hand it to the request that has waited longest."""
        self._completed += 1
        self._active -= 1
        self._admit()
        if not self._active:
            self._idle.set()

    def resize(self, max_concurrency: int) -> None:
        """Let another number of requests run at once; those that run already go on.

        Raises:
            ConfigurationError: that would be none.
        """
        if max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency must be 1 or more, got {max_concurrency}")
        self.max_concurrency = max_concurrency
        self._admit()

    def _admit(self) -> None:
        """Give free turns to those that have waited longest."""
        while self._waiting and self._active < self.max_concurrency:
            turn = next(iter(self._waiting))
            self._waiting.pop(turn).cancel()
            if not turn.done():
                turn.set_result(None)
                self._active += 1

    def _expire(self, turn: asyncio.Future[None]) -> None:
        self._timed_out += 1
        self._fail(turn, QueueTimeoutError(f"no turn within {self.timeout:g} s; try again later"))

    def _fail(self, turn: asyncio.Future[None], error: QueueError) -> None:
        self._waiting.pop(turn).cancel()
        if not turn.done():
            turn.set_exception(error)
