"""Which control plane a request is for: the routes are made once in a process, for all of them."""

from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request
from starlette.types import Scope

from octomil.control.plane import ControlPlane

PLANE: Final = "octomil.plane"
"""Where the scope of a request says whom it is for."""


def plane_of(scope: Scope) -> ControlPlane:
    """Return the control plane that a request is for."""
    plane: ControlPlane = scope[PLANE]
    return plane


async def _plane(request: Request) -> ControlPlane:
    return plane_of(request.scope)


Plane = Annotated[ControlPlane, Depends(_plane)]
"""What a route declares to be given the control plane."""
