"""The poll of a device that shows its token, answered from memory before any framework.

It is nearly all of the traffic. Everything else, errors included, takes the ordinary route.
"""

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.control.api.callers import bearer_token
from octomil.control.api.requests import RATE_LIMIT, ROUTE
from octomil.control.plane import ControlPlane
from octomil.control.tokens import ACCESS_PREFIX

_SUFFIX = "/assignments"
_ROUTE = f"/devices/{{device_id}}{_SUFFIX}"
_MAX_DIGITS = 18


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
        body = self._answer(scope) if scope["type"] == "http" else None
        if body is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = _ROUTE
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Scope) -> bytes | None:
        path: str = scope["path"]
        if scope["method"] != "GET" or not path.endswith(_SUFFIX):
            return None
        token = bearer_token(scope)
        if not token.startswith(ACCESS_PREFIX):
            return None
        caller = self._plane.access_tokens.caller(token)
        if caller is None or path != f"{self._prefix}{caller.device_id}{_SUFFIX}":
            return None
        is_read, version = _known_version(scope["query_string"])
        if not is_read or caller.device_id is None:
            return None
        scope[RATE_LIMIT] = decision = self._plane.rate_limits.take_for_device(caller.device_id)
        if decision is not None and not decision.allowed:
            return None
        self._plane.last_seen.note(caller.device_id)
        plans = self._plane.plans
        return plans.encoded_answer(caller.organisation, caller.device_id, version)


def _known_version(query: bytes) -> tuple[bool, int | None]:
    """Return whether a query is one this place can read, and the version it names."""
    if not query:
        return True, None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    given = values.pop("config_version", [])
    if values or len(given) != 1 or len(given[0]) > _MAX_DIGITS:
        return False, None
    text = given[0]
    return (True, int(text)) if text.isascii() and text.isdigit() else (False, None)
