"""Clients that hang up: what is being made for them is made for nobody, and stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

HUNG_UP: Final = 499
"""The status that a request is counted under whose client is gone; nobody gets it."""

ResultT = TypeVar("ResultT")


async def gone(receive: Receive) -> None:
    """Return when the client has hung up; to be asked once the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(
    request: Request, work: Coroutine[Any, Any, ResultT]
) -> ResultT | Response:
    """Return what `work` returns; if the client hangs up before, it is cancelled.

    Args:
        request: whose body was read.
        work: for its answer.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else Response(status_code=HUNG_UP)
    finally:
        await ended(working, watching)


async def ended(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel what has not ended, and wait until it has."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
