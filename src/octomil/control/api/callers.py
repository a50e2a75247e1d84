"""Whose key or token a request brings, whether it is good for the route, and how often it comes.

A route declares what it needs, `Security(caller_of, scopes=[…])`, or that it needs nothing,
`dependencies=[OPEN]`; a test finds those that do neither.
"""

import math
from collections.abc import Sequence
from typing import Final

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.types import Scope

from octomil.asgi.headers import headers_of
from octomil.control.api.failures import address_of
from octomil.control.api.planes import plane_of
from octomil.control.api.requests import RATE_LIMIT
from octomil.control.plane import ControlPlane
from octomil.control.services.callers import Caller
from octomil.control.tokens import ACCESS_PREFIX, BOOTSTRAP_PREFIX
from octomil.errors import ForbiddenError, RateLimitedError, UnauthorizedError

ITSELF: Final = "itself"
"""Beside a scope: a device may do it to itself, whatever its token's scopes."""

_SCHEME = b"bearer "


def bearer_token(scope: Scope) -> str:
    """Return the token of an `Authorization: Bearer` header; empty if there is none."""
    given = headers_of(scope).get(b"authorization", b"")
    if given[: len(_SCHEME)].lower() != _SCHEME:
        return ""
    return given[len(_SCHEME) :].strip().decode("latin-1")


async def authenticated(scope: Scope, token: str | None = None) -> Caller:
    """Return who sent a request.

    Args:
        scope: the request's.
        token: a key or token that came in another way than as the bearer token.

    Raises:
        UnauthorizedError: it brings no key or token that holds.
        RateLimitedError: the caller comes too often, or too many wrong keys from its address.
    """
    plane = plane_of(scope)
    shown = bearer_token(scope) if token is None else token
    caller = await _proven(plane, shown, address_of(scope))
    scope[RATE_LIMIT] = decision = await plane.rate_limits.take(caller)
    if decision is not None and not decision.allowed:
        wait_s = math.ceil(decision.retry_after_s)
        raise RateLimitedError(
            f"{caller.actor} may send {decision.limit} requests; come back in {wait_s} s",
            {"retry_after_s": wait_s},
        )
    if (key_id := caller.key_id) is not None:
        plane.key_uses.note(key_id)
    return caller


async def _proven(plane: ControlPlane, token: str, address: str) -> Caller:
    """Return whose key or token that is; what is not known in memory is looked up.

    Raises:
        UnauthorizedError: it is nobody's, or holds no more.
        RateLimitedError: too many wrong ones came from the address, and this one never was good.
    """
    if not token or token.startswith(ACCESS_PREFIX):
        return _present(plane.access_tokens.caller(token) if token else None)
    if remembered := plane.api_keys.remembered_caller(token):
        return remembered
    if plane.api_keys.was_good(token):
        return _present(await plane.threads.read(plane.api_keys.look_up, token))
    is_bootstrap = token.startswith(BOOTSTRAP_PREFIX)
    look_up = plane.bootstrap_tokens.look_up if is_bootstrap else plane.api_keys.look_up
    async with plane.failures.counted(address):
        return _present(await plane.threads.read(look_up, token))


def _present(caller: Caller | None) -> Caller:
    if caller is None:
        raise UnauthorizedError(
            "a valid API key or device token is needed: send `Authorization: Bearer KEY`"
        )
    return caller


class _KeyOrToken(SecurityBase):
    """What FastAPI asks for the caller of a route, and how its document says that callers come."""

    def __init__(self) -> None:
        self.scheme_name = "HTTPBearer"
        self.model = HTTPBearer(description="An API key or a device's access token.")

    async def __call__(self, request: Request, needed: SecurityScopes) -> Caller:
        """Return the caller, who has the scopes that the route declares.

        A device's token is good for its own device alone, and for that only where the route
        declares `ITSELF`.

        Raises:
            UnauthorizedError: the request brings no key or token that holds.
            ForbiddenError: that is not good for the route.
            RateLimitedError: the caller comes too often, or too many wrong keys from its address.
        """
        found = await authenticated(request.scope)
        _require(found, needed.scopes, request.path_params.get("device_id"))
        return found


caller_of: Final = _KeyOrToken()
"""For routes to declare who may call: `Security(caller_of, scopes=[…])`."""


def _require(caller: Caller, needed: Sequence[str], device_id: str | None) -> None:
    if caller.device_id is not None and device_id is not None:
        caller.require_device(device_id)
        if ITSELF not in needed:
            raise ForbiddenError(f"this needs an API key, which {caller.actor} is not")
        return
    for scope in needed:
        if scope != ITSELF:
            caller.require(scope)


async def _open() -> None:
    """Mark a route that needs no key; it checks what it is sent by itself."""


OPEN: Final = Depends(_open)
