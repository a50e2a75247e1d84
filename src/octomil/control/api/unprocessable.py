"""Routes that answer 422 to a body that can be read and whose values make no sense."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.problems import invalid, is_undeclared
from octomil.errors import UnprocessableError


class UnprocessableRoute(StrictJsonRoute):
    """A route whose callers tell a request in a wrong form (400) from one with wrong values."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that the router calls."""
        handle = super().get_route_handler()

        async def handle_or_name(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                complaints = error.errors()
                elsewhere = any(each["loc"][0] != "body" for each in complaints)
                if elsewhere or is_undeclared(error):  # in the path, or the query
                    raise
                raise invalid(complaints, UnprocessableError) from error

        return handle_or_name
