"""A TCP proxy that spoils what goes through it: it cuts, resets, drips, holds back, makes up."""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from support.waiting import PATIENCE_S

Ending = Literal["close", "reset", "hold"]

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What becomes of the answer on one connection.

    Attributes:
        after: so many bytes of it pass; None for all of them.
        then: how it ends: by a FIN, by an RST, or not at all, until the client leaves.
        piece: bytes are passed on in pieces of this size, each by itself; None as they come.
        instead: sent in place of the answer; nobody else is asked.
    """

    after: int | None = None
    then: Ending = "close"
    piece: int | None = None
    instead: bytes | None = None


@dataclass
class FaultProxy:
    """The running proxy: each connection takes the next fault, and the last again and again.

    Attributes:
        url: where it listens.
        passed: bytes of answers that went through, one entry a connection.
    """

    target: str
    url: str = ""
    faults: deque[Fault] = field(default_factory=lambda: deque([Fault()]))
    passed: list[int] = field(default_factory=list)

    def spoil(self, *faults: Fault) -> None:
        """Give the next connections these faults."""
        self.faults = deque(faults)

    def next(self) -> Fault:
        return self.faults.popleft() if len(self.faults) > 1 else self.faults[0]

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.next()
        with contextlib.suppress(ConnectionError):
            if fault.instead is None:
                await self._relay(fault, reader, writer)
            else:
                await _read_request(reader)
                await self._pass_on(fault, fault.instead, 0, writer)
                await _end(fault, reader, writer)
        writer.close()

    async def _relay(
        self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        place = urlsplit(self.target)
        far_reader, far_writer = await asyncio.open_connection(place.hostname, place.port)
        asking = asyncio.create_task(_copy(reader, far_writer))
        passed = 0
        try:
            while fault.after is None or passed < fault.after:
                gone = asyncio.ensure_future(far_reader.read(65536))
                await asyncio.wait({gone, asking}, return_when=asyncio.FIRST_COMPLETED)
                if not gone.done():  # the client has left
                    gone.cancel()
                    return
                if not (data := gone.result()):
                    break
                passed += await self._pass_on(fault, data, passed, writer)
            asking.cancel()
            await asyncio.wait({asking})
            await _end(fault, reader, writer)
        finally:
            self.passed.append(passed)
            asking.cancel()
            far_writer.close()

    async def _pass_on(
        self, fault: Fault, data: bytes, passed: int, writer: asyncio.StreamWriter
    ) -> int:
        if fault.after is not None:
            data = data[: fault.after - passed]
        size = fault.piece or max(1, len(data))
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        return len(data)


async def _read_request(reader: asyncio.StreamReader) -> None:
    """Read a whole request: who closes before, resets the connection, answer and all."""
    head = await reader.readuntil(b"\r\n\r\n")
    if (announced := re.search(rb"\ncontent-length: *(\d+)", head, re.IGNORECASE)) is not None:
        await reader.readexactly(int(announced[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _end(fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if fault.then == "hold":
        while await reader.read(65536):
            pass
    elif fault.then == "reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Run a proxy of a server, until the block ends; connections that are held end with it."""
    proxy = FaultProxy(target)
    started = threading.Event()
    ending: list[Callable[[], object]] = []

    async def main() -> None:
        end, loop = asyncio.Event(), asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(end.set))
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(proxy.connected(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await end.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield proxy
    finally:
        ending[0]()
        thread.join(PATIENCE_S)
