"""What a backend's server says besides an answer."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from octomil.engines.relay import error_code, error_from
from octomil.engines.upstream import Reply, Upstream
from octomil.errors import (
    InsufficientSpaceError,
    InvalidModelFileError,
    ModelError,
    ModelUnavailableError,
    UnknownModelError,
)
from octomil.wire.inference import InferenceParameters

_OF_THE_MODEL: Final[Mapping[str | None, type[ModelError]]] = MappingProxyType(
    {
        "model_unusable": InvalidModelFileError,
        "insufficient_space": InsufficientSpaceError,
    }
)
"""How a node of our own says that it cannot have this model; others it can."""

_FOR_NOW: Final = frozenset(
    {
        *("model_unavailable", "engine_unavailable", "engine_crashed", "generation_failed"),
        *("queue_full", "queue_timeout", "spend_cap_reached"),
    }
)
"""How it says that this model does not answer now: each has an engine and a line of its own."""

Refusal = Callable[[Reply, str], Exception]
"""Returns the error that says what an answer says which is no success; the model comes second."""


def refusal(reply: Reply, model: str) -> Exception:
    """Return the error that says what an answer which is no success says."""
    error = error_from(reply.status, reply.body, model, reply.retry_after_s)
    if reply.status == 404:
        return UnknownModelError(str(error))
    code = error_code(reply.body)
    if code in _FOR_NOW:
        return ModelUnavailableError(str(error), retry_after_s=reply.retry_after_s)
    found = _OF_THE_MODEL.get(code)
    return error if found is None else found(str(error))


async def fetched(
    upstream: Upstream,
    method: str,
    path: str,
    model: str,
    body: bytes | None = None,
    *,
    refused: Refusal = refusal,
) -> bytes:
    """Send a request and return the body of its answer.

    Args:
        upstream: where to.
        method: of the request.
        path: of the request.
        model: named in errors.
        body: JSON, if there is any.
        refused: reads the server's refusals.

    Raises:
        OctomilError: the answer is no success, or there is none.
    """
    reply = await upstream.request(method, path, body)
    if reply.status != 200:
        raise refused(reply, model)
    return reply.body


async def streamed(
    upstream: Upstream, path: str, model: str, body: bytes, *, refused: Refusal = refusal
) -> AsyncGenerator[bytes, None]:
    """Post a request and yield its answer as it arrives; closing the generator ends it.

    Raises:
        OctomilError: as in `fetched`, or the connection broke.
    """
    async with aclosing(upstream.stream(path, body)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Reply):
                raise refused(chunk, model)
            yield chunk


def given(parameters: InferenceParameters) -> dict[str, Any]:
    """Return the parameters that were given, by their names."""
    return {name: value for name, value in asdict(parameters).items() if value is not None}
