"""Reading JSON strictly: FastAPI's own reader takes NaN, lone surrogates and any depth."""

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.idempotency import IdempotentRoute

MAX_DEPTH: Final = 64
"""So many lists and objects inside each other: what is deeper could be kept, and never be shown."""

_decode = msgspec.json.Decoder().decode


class _StrictRequest(Request):
    async def json(self) -> Any:
        """Return the body as a value.

        Raises:
            JSONDecodeError: it is not JSON as RFC 8259 has it, or nested too deeply. FastAPI
                answers with a validation error then.
        """
        body = await self.body()
        try:
            value = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(f"not valid JSON: {error}", "", 0) from None
        except RecursionError:
            raise json.JSONDecodeError("nested too deeply", "", 0) from None
        may_be_deep = body.count(b"[") + body.count(b"{") > MAX_DEPTH
        if may_be_deep and _is_deep(value):
            raise json.JSONDecodeError("nested too deeply", "", 0)
        return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    """Return what lies directly in a list or an object; nothing for anything else."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class StrictJsonRoute(IdempotentRoute):
    """A route whose JSON bodies are read strictly, and whose requests may bear a key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that the router calls."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
