"""Calls to the control plane from an event loop, as far as streams need them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from octomil.http.client import USER_AGENT, tls_context
from octomil.http.deadline import Deadline
from octomil.http.exchange import Caller, Exchange, Request

if TYPE_CHECKING:
    import httpx

ResultT = TypeVar("ResultT")


@asynccontextmanager
async def stream_async(caller: Caller, request: Request) -> "AsyncGenerator[httpx.Response]":
    """Send a request on a connection of its own; hand over its answer before the body is read.

    A connection belongs to the event loop that it was made in, so that none is kept: leaving the
    block closes it.

    Raises:
        OctomilClientError: as in `ApiClient.send`.
    """
    import httpx

    headers = {"User-Agent": USER_AGENT}
    limits = httpx.Limits(max_keepalive_connections=0)  # nor for the next try
    async with httpx.AsyncClient(headers=headers, verify=tls_context(), limits=limits) as client:
        answer = await _answer(client, Exchange(caller, request), request.deadline)
        async with aclosing(answer):
            yield answer


async def within(deadline: Deadline | None, coming: Awaitable[ResultT]) -> ResultT:
    """Wait for something, and no longer than until a deadline, if there is one.

    Raises:
        TimeoutError: it did not come.
    """
    async with asyncio.timeout(None if deadline is None else deadline.left_s):
        return await coming


async def _answer(
    client: "httpx.AsyncClient", exchange: Exchange, deadline: Deadline | None
) -> "httpx.Response":
    import httpx

    while True:
        sent = exchange.build(client)
        failure: httpx.Response | Exception
        try:
            answer = await within(deadline, _try(client, sent))
        except (httpx.RequestError, TimeoutError, UnicodeError) as error:
            failure = error
        else:
            if answer.is_success:
                return answer
            failure = answer
        await asyncio.sleep(exchange.delay_s(failure))


async def _try(client: "httpx.AsyncClient", sent: "httpx.Request") -> "httpx.Response":
    """Send a request once; read the body if it tells of an error."""
    answer = await client.send(sent, stream=True)
    if not answer.is_success:
        async with aclosing(answer):
            await answer.aread()
    return answer
