"""What a request is called, in log, audit and answer, and whose trace it belongs to."""

from contextlib import AbstractContextManager, nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epochly.inference.context.request import RequestContext, bound, new_request_id
from epochly.inference.context.trace import TraceContext
from octomil.asgi.headers import headers_of
from octomil.asgi.request_ids import sent_id
from octomil.serve.answers import request_id_header


def identify(scope: Scope) -> tuple[str, RequestContext | None]:
    """Return what a request is called, and its context if it is a part of its client's trace.

    It is called what `x-request-id` says, or as its trace, or anew. A trace is that of a valid
    `traceparent` (W3C Trace Context).

    Args:
        scope: the request's ASGI scope.
    """
    headers = headers_of(scope)
    name = sent_id(scope)
    trace = _client_trace(scope) if b"traceparent" in headers else None
    if trace is None:
        return name or new_request_id(), None
    name = name or trace.trace_id
    return name, RequestContext.at(trace.child(), request_id=name, endpoint=scope["path"])


class NamedAnswers:
    """Gives every answer of an application the id of its request.

    For answers that name none themselves; those to requests for text and vectors do.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and name its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, _ = identify(scope)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], request_id_header(name)]
            await send(message)

        await self._app(scope, receive, send_named)


def in_trace(context: RequestContext | None) -> AbstractContextManager[object]:
    """Within a block, let what asks other servers find the trace; without one, do nothing."""
    return nullcontext() if context is None else bound(context)


def _client_trace(scope: Scope) -> TraceContext | None:
    return TraceContext.from_headers(
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    )
