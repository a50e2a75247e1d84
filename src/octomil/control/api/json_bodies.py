"""Reading JSON strictly: FastAPI's own reader takes NaN, lone surrogates and any depth."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

_decode = msgspec.json.Decoder().decode


class _StrictRequest(Request):
    async def json(self) -> Any:
        """Return the body as a value.

        Raises:
            JSONDecodeError: it is not JSON as RFC 8259 has it, or nested deeper than can be
                followed. FastAPI answers with a validation error then.
        """
        body = await self.body()
        try:
            return _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(f"not valid JSON: {error}", "", 0) from None
        except RecursionError:
            raise json.JSONDecodeError("nested too deeply", "", 0) from None


class StrictJsonRoute(APIRoute):
    """A route whose JSON bodies are read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that the router calls."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
