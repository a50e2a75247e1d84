"""Bytes on their way from a client to the spool: never more than a few pieces are in memory."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from octomil.control.threads import ServiceThreads
from octomil.errors import BadRequestError, RequestTimedOutError

PIECE_BYTES: Final = 1 << 20
IDLE_S: Final = 30.0
"""So long a client may send nothing; a whole file may take as long as it takes."""

_STREAMED = re.compile(r"/api/v1/(models/[^/]+/versions/upload|uploads/[^/]+)")


def is_streamed(scope: Scope) -> bool:
    """Tell whether a request's body is for the spool, and not to be read whole."""
    return scope["method"] in ("POST", "PATCH") and bool(_STREAMED.fullmatch(scope["path"]))


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """Yield a body as it arrives.

    Raises:
        BadRequestError: the client hung up.
        RequestTimedOutError: it stopped sending.
    """
    pieces = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                piece = await anext(pieces, None)
        except ClientDisconnect:
            raise BadRequestError("the client hung up before the end of the body") from None
        except TimeoutError:
            raise RequestTimedOutError(f"nothing of the body arrived for {IDLE_S:g} s") from None
        if piece is None:
            return
        yield piece


class SpoolWriter:
    """Gathers bytes and has them written while the next ones arrive.

    Args:
        threads: where the writing is done.
        append: adds bytes at an offset, and returns the new one.
        offset: where the first bytes go.
    """

    def __init__(
        self, threads: ServiceThreads, append: Callable[[int, bytes], int], offset: int
    ) -> None:
        self._threads = threads
        self._append = append
        self._gathered = bytearray()
        self._offset = offset
        self._writing: asyncio.Task[int] | None = None

    async def write(self, data: bytes) -> None:
        """Take some bytes; what is wrong with those before is raised here or by `flush`."""
        self._gathered += data
        if len(self._gathered) >= PIECE_BYTES:
            await self._hand_over()

    async def flush(self) -> int:
        """Wait until all bytes are written; return the offset after them."""
        await self._hand_over()
        await self._settle()
        return self._offset

    async def abandon(self) -> None:
        """Wait for the writing under way, whatever comes of it; the rest is dropped."""
        self._gathered.clear()
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _hand_over(self) -> None:
        await self._settle()
        if self._gathered:
            data, self._gathered = bytes(self._gathered), bytearray()
            write = self._threads.move(self._append, self._offset, data)
            self._writing = asyncio.create_task(write, name="spool")

    async def _settle(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._offset = await writing
