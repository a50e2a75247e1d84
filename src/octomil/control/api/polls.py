"""The poll of a device that shows its token, answered from memory before any framework.

It is nearly all of the traffic. Everything else, errors included, takes the ordinary route. A poll
that asks for it (`wait_s`) is held until there is news.
"""

import re
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.control.api.callers import bearer_token
from octomil.control.api.requests import HELD_S, RATE_LIMIT, ROUTE, replayed
from octomil.control.plane import ControlPlane
from octomil.control.tokens import ACCESS_PREFIX
from octomil.wire.devices import MAX_WAIT_S

_SUFFIX = "/assignments"
_ROUTE = f"/devices/{{device_id}}{_SUFFIX}"
_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Poll:
    """A poll that this place answers.

    Attributes:
        known: the number of the plan that the device says it has; None if it does not say.
        wait_s: seconds that it may be held; 0 for an answer at once.
    """

    organisation: str
    device_id: str
    known: int | None
    wait_s: float


class AssignmentPolls:
    """Answers `GET …/devices/ID/assignments` for the device `ID` itself.

    Args:
        app: everything else.
        plane: what is asked.
        prefix: of the paths of devices, such as `/api/v1/devices/`.
    """

    def __init__(self, app: ASGIApp, plane: ControlPlane, prefix: str) -> None:
        self._app = app
        self._plane = plane
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        poll = self._poll(scope) if scope["type"] == "http" else None
        if poll is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = _ROUTE
        if poll.wait_s:
            if not await self._hold(scope, receive, poll):
                return  # to nobody
            if self._plane.access_tokens.caller(bearer_token(scope)) is None:  # not any more
                await self._app(scope, replayed(b"", receive), send)
                return
        plans = self._plane.plans
        body = plans.encoded_answer(poll.organisation, poll.device_id, poll.known)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _hold(self, scope: Scope, receive: Receive, poll: _Poll) -> bool:
        """Return when a poll is to be answered; whether its client is still there."""
        began_s = perf_counter()
        try:
            return await self._plane.long_polls.wait(
                poll.organisation, poll.device_id, poll.known, poll.wait_s, partial(_gone, receive)
            )
        finally:
            scope[HELD_S] = perf_counter() - began_s

    def _poll(self, scope: Scope) -> _Poll | None:
        path: str = scope["path"]
        if scope["method"] != "GET" or not path.endswith(_SUFFIX):
            return None
        token = bearer_token(scope)
        if not token.startswith(ACCESS_PREFIX):
            return None
        caller = self._plane.access_tokens.caller(token)
        if caller is None or path != f"{self._prefix}{caller.device_id}{_SUFFIX}":
            return None
        asked = _read(scope["query_string"])
        if asked is None or caller.device_id is None:
            return None
        scope[RATE_LIMIT] = decision = self._plane.rate_limits.take_for_device(caller.device_id)
        if decision is not None and not decision.allowed:
            return None
        self._plane.last_seen.note(caller.device_id)
        known, wait_s = asked
        return _Poll(
            organisation=caller.organisation,
            device_id=caller.device_id,
            known=known,
            wait_s=wait_s,
        )


def _read(query: bytes) -> tuple[int | None, float] | None:
    """Return the version that a query names, and the wait; None where this place cannot read it."""
    if not query:
        return None, 0.0
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    versions, waits = values.pop("config_version", []), values.pop("wait_s", ["0"])
    if values or len(versions) > 1 or len(waits) > 1:
        return None
    wait = waits[0]
    if not all(map(_VERSION.fullmatch, versions)) or not _SECONDS.fullmatch(wait):
        return None
    if float(wait) > MAX_WAIT_S:
        return None
    return (int(versions[0]) if versions else None), float(wait)


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
