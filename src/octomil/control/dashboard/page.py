"""`/`: the page for people. A browser asks for the key, and keeps it while it is open."""

import base64
import binascii
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Scope

from octomil.asgi.headers import headers_of
from octomil.control.api.callers import OPEN, authenticated
from octomil.control.api.planes import Plane
from octomil.control.dashboard.overview import Overview, overview_of
from octomil.errors import UnauthorizedError

if TYPE_CHECKING:
    from jinja2 import Template

_BASIC: Final = b"basic "
_ASK: Final = {"www-authenticate": 'Basic realm="Octomil: an API key as the password"'}
_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}

router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=[OPEN])
async def page(plane: Plane, request: Request) -> Response:
    """Show models, versions, rollouts and devices to whoever has a key."""
    try:
        caller = await authenticated(request.scope, _password(request.scope))
    except UnauthorizedError:
        text = "Give an API key as the password; the name does not matter.\n"
        return PlainTextResponse(text, status_code=401, headers=_ASK)
    overview = await plane.threads.read(overview_of, plane, caller)
    policy = {"content-security-policy": _policy()}
    return HTMLResponse(render(overview), headers={**_HEADERS, **policy})


def render(overview: Overview) -> str:
    """Return the page; whatever is in it is shown as text."""
    from markupsafe import Markup

    return _template().render(overview=overview, style=Markup(_style()))  # noqa: S704 - our own


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("octomil.control.dashboard", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("overview.html")


@cache
def _style() -> str:
    folder = resources.files("octomil.control.dashboard") / "templates"
    return (folder / "overview.css").read_text(encoding="utf-8")


@cache
def _policy() -> str:
    """Return what a browser may do with the page: apply this very style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _password(scope: Scope) -> str | None:
    """Return the password of basic authentication; None if there is none."""
    given = headers_of(scope).get(b"authorization", b"")
    if given[: len(_BASIC)].lower() != _BASIC:
        return None
    try:
        words = base64.b64decode(given[len(_BASIC) :], validate=True)
    except binascii.Error:
        return None
    return words.partition(b":")[2].decode("latin-1")
