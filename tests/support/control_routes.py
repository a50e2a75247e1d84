"""Every route of the control plane, as the framework knows it, so that no new one is forgotten."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter

from octomil.control.api.callers import OPEN
from octomil.control.app import framework_app


@dataclass(frozen=True)
class ControlRoute:
    """A route, by one of its methods.

    Attributes:
        texts: the names of the parameters in its query that are texts.
        scopes: what it declares that its caller needs.
        is_open: whether it declares that it needs none.
    """

    method: str
    path: str
    texts: tuple[str, ...]
    scopes: frozenset[str]
    is_open: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)

    def filled(self, values: dict[str, str]) -> str:
        """The path with values in the place of names."""
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: values[found[1]], self.path)


def routes_of() -> Iterator[ControlRoute]:
    """Every route of the API, the framework's own left out."""
    for context in iter_route_contexts(framework_app().routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            continue
        needed = list(_dependants(route.dependant))
        for method in sorted(context.methods or ()):
            yield ControlRoute(
                method,
                context.path or "",
                tuple(_texts(needed)),
                frozenset(scope for each in needed for scope in each.own_oauth_scopes or ()),
                any(each.call is OPEN.dependency for each in needed),
            )


def openapi_of() -> dict[str, Any]:
    return framework_app().openapi()


def _texts(dependants: list[Dependant]) -> Iterator[str]:
    for each in dependants:
        for parameter in each.query_params:
            if "'string'" in str(TypeAdapter(parameter.field_info.annotation).json_schema()):
                yield parameter.alias


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _dependants(inner)
