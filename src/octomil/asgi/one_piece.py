"""Sending the head of an answer together with the beginning of its body."""

import asyncio


class OnePieceTransport(asyncio.Transport):
    """Holds the head of an answer until its body begins, so that both leave by one system call.

    uvicorn writes them apart, and each write of a small answer costs as much as deciding where its
    request goes. A head that is not followed by anything leaves with the loop's next round.

    Args:
        transport: the connection's.
        loop: the event loop it belongs to.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data, or hold it if it is a head."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data[:5] == b"HTTP/":
            self._head = bytes(data)
            self._loop.call_soon(self._let_go)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._let_go()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the connection is being closed."""
        return self._transport.is_closing()

    def _let_go(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
