import asyncio

import pytest

from octomil.asgi.one_piece import OnePieceTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Recording(asyncio.Transport):
    """A connection that lists what was written to it, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def writelines(self, list_of_data) -> None:
        self.calls.append(b"".join(list_of_data))

    def close(self) -> None:
        self.calls.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.calls


@pytest.fixture
async def connection() -> Recording:
    return Recording()


@pytest.fixture
async def transport(connection: Recording) -> OnePieceTransport:
    return OnePieceTransport(connection, asyncio.get_running_loop())


async def test_head_leaves_with_the_beginning_of_its_body(connection, transport):
    transport.write(HEAD)
    transport.write(b"body")
    transport.write(b"more")
    await asyncio.sleep(0)

    assert connection.calls == [HEAD + b"body", b"more"]


async def test_head_alone_leaves_with_the_next_round_of_the_loop(connection, transport):
    transport.write(HEAD)
    assert connection.calls == []

    await asyncio.sleep(0)
    transport.write(b"body")

    assert connection.calls == [HEAD, b"body"]


async def test_head_leaves_before_the_connection_is_closed(connection, transport):
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)

    assert connection.calls == [HEAD, "closed"]
    assert transport.is_closing()


async def test_two_heads_in_a_row_leave_in_order(connection, transport):
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    transport.write(HEAD)
    transport.write(b"body")
    await asyncio.sleep(0)

    assert b"".join(connection.calls) == b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"body"
