"""A request's headers, put in a mapping once for all who look into them."""

from collections.abc import Mapping

from starlette.types import Scope

_KEPT = "octomil.headers"


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Return a request's headers by name in lower case; of one sent twice, the last."""
    headers: dict[bytes, bytes] | None = scope.get(_KEPT)
    if headers is None:
        headers = scope[_KEPT] = dict(scope["headers"])
    return headers
