"""Requests with an `Idempotency-Key`: carried out once, however often they come.

Every route that writes honours the key by being made here. What it answers is rendered in the
transaction of what it does, and kept there. Marks among a route's dependencies say otherwise:
`UNKEYED` for what heeds no key, `SECRET` for answers that must not be kept, and `AWAITED` for
answers that others than the database give.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterable
from functools import partial, wraps
from typing import Any, Final

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.hang_ups import HUNG_UP
from octomil.control.api.planes import plane_of
from octomil.control.api.problems import problem_response
from octomil.control.plane import ControlPlane
from octomil.control.services.callers import Caller
from octomil.control.services.idempotency import (
    KEY_PATTERN,
    Answer,
    KeyedRequest,
    is_final,
    keyed_request,
)
from octomil.errors import ApiError

HEADER: Final = "Idempotency-Key"
REPEATED: Final = "Idempotent-Replayed"
METHODS: Final = frozenset({"POST", "PUT", "PATCH"})

_REQUEST: Final = "keyed_request"
_PARAMETER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "New with each request, and the same when that one is sent again: it is then "
    "carried out once, and answered alike for 24 hours.",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}

_Endpoint = Callable[..., Coroutine[Any, Any, Any]]


async def _mark() -> None:
    """Mark a route; does nothing else."""


async def _mark_secret() -> None:
    """Mark a route whose answers must not be kept; does nothing else."""


async def _mark_awaited() -> None:
    """Mark a route whose answer is awaited from elsewhere; does nothing else."""


UNKEYED: Final = Depends(_mark)
"""A route that heeds no key: a repetition changes nothing, or is refused for what was done."""
SECRET: Final = Depends(_mark_secret)
"""A route whose answers hold secrets: a repetition is refused, and not carried out."""


AWAITED: Final = Depends(_mark_awaited)
"""A route that asks others than the database, and changes nothing in it: its answer is kept once it
is there. If it is lost before, or too large to be kept, the request is carried out again."""


class IdempotentRoute(APIRoute):
    """A route that carries a request with a key out once."""

    def __init__(self, path: str, endpoint: _Endpoint, **options: Any) -> None:
        marks = [each.dependency for each in options.get("dependencies") or ()]
        self._is_secret = SECRET.dependency in marks
        self._is_awaited = AWAITED.dependency in marks
        if is_keyed(options.get("methods") or (), endpoint, marks):
            extra = options.get("openapi_extra") or {}
            parameters = [*extra.get("parameters", ()), _PARAMETER]
            options["openapi_extra"] = {**extra, "parameters": parameters}
            endpoint = self._once(endpoint)
        super().__init__(path, endpoint, **options)

    def _once(self, endpoint: _Endpoint) -> _Endpoint:
        """Return an endpoint that asks the framework for the request besides."""
        signature = inspect.signature(endpoint)
        parameters = list(signature.parameters.values())
        own = next((each.name for each in parameters if each.annotation is Request), None)

        @wraps(endpoint)
        async def once(**values: Any) -> Any:
            request: Request = values[own] if own else values.pop(_REQUEST)
            if (key := request.headers.get(HEADER)) is None:
                return await endpoint(**values)
            return await self._answer(request, key, partial(endpoint, **values), values)

        if own is None:  # the framework hands the request to one parameter alone
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(_REQUEST, kind, annotation=Request))
        vars(once)["__signature__"] = signature.replace(parameters=parameters)
        return once

    async def _answer(
        self, request: Request, key: str, endpoint: _Endpoint, values: dict[str, Any]
    ) -> Response:
        plane = plane_of(request.scope)
        keyed = keyed_request(
            next(value for value in values.values() if isinstance(value, Caller)),
            key,
            request.method,
            _target(request),
            await request.body(),
            is_secret=self._is_secret,
        )

        async def handler() -> Answer:
            return self._rendered(await endpoint(), values)

        refusal = partial(_refusal, request)
        if self._is_awaited:
            answer = await _awaited(plane, keyed, handler, refusal)
        else:
            answer = await plane.threads.write_as_one(
                handler, partial(plane.idempotency.answer, keyed, refusal=refusal)
            )
        return Response(
            answer.body,
            status_code=answer.status,
            media_type="application/json",
            headers={REPEATED: "true"} if answer.is_repeated else None,
        )

    def _rendered(self, found: Any, values: dict[str, Any]) -> Answer:
        """Return what the framework would answer."""
        if isinstance(found, Response):
            return Answer(status=found.status_code, body=bytes(found.body))
        field = self.response_field
        if field is None:
            raise TypeError(f"{self.path} does not declare what it returns")
        given = next((each for each in values.values() if isinstance(each, Response)), None)
        status = given.status_code if given is not None else None
        return Answer(status=status or self.status_code or 200, body=field.serialize_json(found))


async def _awaited(
    plane: ControlPlane,
    keyed: KeyedRequest,
    handler: Callable[[], Coroutine[Any, Any, Answer]],
    refusal: Callable[[ApiError], Answer],
) -> Answer:
    """Return what a request is answered that is carried out elsewhere; repetitions wait for it."""
    name = f"{keyed.organisation} {keyed.key.caller} {keyed.key.text}"
    async with plane.repetitions.of(name):
        earlier = await plane.threads.read(plane.idempotency.earlier, keyed)
        if earlier is not None:
            return earlier
        try:
            answer = await handler()
        except ApiError as error:
            if not is_final(error):
                raise
            answer = refusal(error)
        if answer.status == HUNG_UP:
            return answer
        return await plane.threads.write(plane.idempotency.settle, keyed, answer)


def is_keyed(methods: Iterable[str], endpoint: _Endpoint, marks: Iterable[object]) -> bool:
    """Tell whether a route heeds keys: it writes, knows who calls, and is not marked."""
    knows_caller = "caller" in inspect.signature(endpoint).parameters
    return bool(METHODS.intersection(methods)) and knows_caller and _mark not in marks


def _target(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _refusal(request: Request, error: ApiError) -> Answer:
    response = problem_response(request.scope, error)
    return Answer(status=response.status_code, body=bytes(response.body))
