"""Keeps out web pages that a browser on this machine would let call a node without a key.

A page of any site may post to `localhost` without asking (a form, or `fetch` with `text/plain`),
and one whose own name is made to lead to 127.0.0.1 (DNS rebinding) may read the answer as well.
What gives them away are the headers `Origin` and `Host`, which no page can choose.
"""

import ipaddress
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.asgi.headers import headers_of
from octomil.serve.answers import request_id_header, send_answer
from octomil.serve.errors import HttpError, error_answer
from octomil.serve.request_ids import identify

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class OriginGuard:
    """Refuses requests of foreign pages and requests for foreign names, before anything else.

    Args:
        app: what to protect.
        origins: origins whose pages may call besides the node's own; `*` for all, None asks none.
        hosts: names the node goes by, without a port; None for any.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Collection[str] | None, hosts: Collection[str] | None
    ) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins or ())
        self._any_origin = origins is None or "*" in origins
        self._hosts = frozenset(host.lower().encode() for host in hosts or ())
        self._any_host = hosts is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 or 403 before its body is read."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            request_id, _ = identify(scope)
            await send_answer(send, error_answer(refusal), [request_id_header(request_id)])

    def _refusal(self, scope: Scope) -> HttpError | None:
        headers = headers_of(scope)
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if host and not (self._any_host or _name(host) in self._hosts):
            return _foreign_host(host)
        if not origin or self._any_origin or origin in self._origins:
            return None
        own = origin.partition(b"://")[2].lower() == host.lower()
        return None if own else _foreign_origin(origin)


def host_names(host: str, extra: Collection[str], *, has_key: bool) -> Collection[str] | None:
    """Return the names that a node listening on `host` goes by; None where that cannot be known.

    Args:
        host: the address it listens on, or a name of it.
        extra: names it was given besides; they decide alone where the others are unknown.
        has_key: whether clients must send one, which a page that guesses the name does not have.
    """
    own = (f"[{host}]" if ":" in host else host, *_OWN_NAMES)
    if extra or (_is_loopback(host) and not has_key):
        return (*own, *extra)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: bytes) -> bytes:
    """Return a `Host` header without its port."""
    name, colon, port = host.rpartition(b":")
    return (name if colon and port.isdigit() else host).lower()


def _foreign_host(host: bytes) -> HttpError:
    name = _name(host).decode("latin-1")
    message = f"this node is not {name!r}; allow it with --allowed-host"
    return HttpError(421, message, code="host_not_allowed")


def _foreign_origin(origin: bytes) -> HttpError:
    page = origin.decode("latin-1")
    message = f"pages of {page} may not call this node; allow them with --cors-origin"
    return HttpError(403, message, code="origin_not_allowed")
