"""What a client may send: how much, how slowly, and with which key."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.asgi.headers import headers_of
from octomil.serve.answers import request_id_header, send_answer
from octomil.serve.errors import HttpError, error_answer
from octomil.serve.keys import ClientKeys
from octomil.serve.observation import DEFAULT_TENANT, Observation
from octomil.serve.request_ids import identify
from octomil.wire.constraints import violation

MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
TENANT = "octomil.tenant"
"""Where the scope of a request says who sent it."""

_OPEN_PATHS = frozenset({"/health", "/ready"})

_FIELD = re.compile(r"(?:Object missing required field )?`(\w+)`")

RequestT = TypeVar("RequestT")


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read a request's body, as long as it is small enough.

    Raises:
        HttpError: 413 for a body above `max_bytes`.
        ClientGoneError: the client hung up.
    """
    announced = headers_of(scope).get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return b"".join(parts)


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(
        413,
        f"the body is larger than {max_bytes / 2**20:g} MiB",
        code="request_too_large",
        headers=((b"connection", b"close"),),
    )


def too_slow(timeout_s: float) -> HttpError:
    """Return the error for a body that did not arrive in time."""
    return HttpError(
        408,
        f"the body did not arrive within {timeout_s:g} s",
        code="request_timeout",
        headers=((b"connection", b"close"),),
    )


def observe(scope: Scope) -> Observation:
    """Begin to note a request: who sent it, the id that it brings or gets, and its trace."""
    tenant: str = scope.get(TENANT, DEFAULT_TENANT)
    request_id, context = identify(scope)
    return Observation(tenant=tenant, request_id=request_id, context=context)


def parse(body: bytes, kind: type[RequestT]) -> tuple[dict[str, Any], RequestT]:
    """Decode JSON once; return it as it came and as the checked `kind`.

    Raises:
        HttpError: 400 that names the field and what it must be.
    """
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason, _, _ = str(error).partition(" - at `$")
        raise HttpError(400, f"the body is not valid JSON: {reason}", code="invalid_json") from None
    except RecursionError:
        raise too_deep() from None
    try:
        checked = msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except RecursionError:
        raise too_deep() from None
    broken = violation(checked, raw)
    if broken is not None:
        param, text = broken
        raise HttpError(400, text, code="invalid_value", param=param)
    return raw, checked


def too_deep() -> HttpError:
    """Return the error for JSON that this process cannot follow to its bottom."""
    return HttpError(400, "the JSON is nested too deeply", code="invalid_json")


def _invalid(complaint: str) -> HttpError:
    """Make msgspec's complaint name the field, also where it only names what the field is in."""
    text, _, path = complaint.partition(" - at `$")
    param = path.rstrip("`").lstrip(".")
    inner = _FIELD.match(text)
    if inner is not None:
        param = f"{param}.{inner[1]}" if param else inner[1]
        text = text.removeprefix(f"`{inner[1]}` ")
    return HttpError(
        400, f"{param or 'the body'}: {text}", code="invalid_type", param=param or None
    )


class ApiKeyMiddleware:
    """Ask for a bearer token on every path but the probes'.

    Args:
        app: what to protect; it finds the key's tenant in the scope, under `TENANT`.
        keys: the tokens.
        when_refused: called with the scope and the id of each request that has no valid one.
    """

    def __init__(
        self, app: ASGIApp, keys: ClientKeys, when_refused: Callable[[Scope, str], object]
    ) -> None:
        self._app = app
        self._keys = keys
        self._when_refused = when_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 before its body is read."""
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        tenant = self._keys.tenant_of(headers_of(scope).get(b"authorization", b""))
        if tenant is not None:
            scope[TENANT] = tenant
            await self._app(scope, receive, send)
            return
        request_id, _ = identify(scope)
        self._when_refused(scope, request_id)
        error = HttpError(
            401,
            "a valid API key is needed: send `Authorization: Bearer KEY` with the key that the "
            "server was started with",
            code="invalid_api_key",
            kind="authentication_error",
            headers=((b"www-authenticate", b"Bearer"),),
        )
        await send_answer(send, error_answer(error), [request_id_header(request_id)])
