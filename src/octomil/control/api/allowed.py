"""Which methods a path takes: all of its routes' together, as RFC 9110, 10.2.1 wants it told."""

from collections import defaultdict

from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.routing import compile_path


def allowed_methods(request: Request) -> str:
    """Return what stands in the `Allow` header of an answer to a method that is not taken.

    The framework tells of the first route alone. Of several patterns, the one with the fewest names
    in it is meant: `/devices/register` is no device.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for context in iter_route_contexts(request.app.routes):
        pattern, _, names = compile_path(context.path or "/")
        if pattern.match(request.scope["path"]):
            found[len(names)] |= set(context.methods or ())
    return ", ".join(sorted(found[min(found)])) if found else ""
