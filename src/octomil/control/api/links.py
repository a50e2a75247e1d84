"""Links of the OpenAPI document: which answers hold the ids that other operations' paths ask for.

An operation that makes something is linked with every operation on what it made, so that a new
route below `/models/{model_id}` is linked without a word about it here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from octomil.control.api.catalog import PREFIX
from octomil.control.api.not_served import CALLS


@dataclass(frozen=True)
class Source:
    """An operation whose answer names something that others' paths ask for.

    Attributes:
        operation: method and path, without the prefix.
        parameter: what those paths call it.
        pointer: where it stands in the answer, a JSON Pointer (RFC 6901).
    """

    operation: str
    parameter: str
    pointer: str = "/id"


SOURCES: Final = (
    Source("POST /organisations", "organisation_id"),
    Source("POST /keys", "key_id"),
    Source("POST /keys/{key_id}/rotate", "key_id"),
    Source("POST /device-auth/bootstrap-tokens", "bootstrap_token_id"),
    Source("POST /devices/register", "device_id"),
    Source("POST /models", "model_id"),
    Source("POST /models/{model_id}/versions", "version", "/version"),
    Source("POST /models/{model_id}/versions/upload", "version", "/version"),
    Source("PUT /models/{model_id}/aliases/{alias}", "alias", "/name"),
    Source("POST /models/{model_id}/rollouts", "rollout_id"),
    Source("POST /uploads", "upload_id"),
    Source("POST /webhooks", "webhook_id"),
    Source("GET /webhooks/{webhook_id}/deliveries", "delivery_id", "/deliveries/0/id"),
)
"""A new resource adds the operation that makes one."""


def with_links(document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the links of `SOURCES` in it.

    See the OpenAPI Specification 3.1.0, "Link Object".

    Args:
        document: of the whole API; it is changed.

    Raises:
        KeyError: a source is no operation of the API.
    """
    operations = dict(_served(document))
    for source in SOURCES:
        links = dict(_links_of(source, operations))
        for status, response in operations[source.operation]["responses"].items():
            if status.startswith("2"):
                response.setdefault("links", {}).update(links)
    return document


def _served(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation under the prefix that is served, by method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = path.removeprefix(PREFIX)
            if name != path and (method.upper(), name) not in CALLS:
                yield f"{method.upper()} {name}", operation


def _links_of(
    source: Source, operations: dict[str, dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the link of each operation on what the source names."""
    path = {name: f"$request.path.{name}" for name in _names(source.operation)}
    known = path | {source.parameter: f"$response.body#{source.pointer}"}
    for name, operation in operations.items():
        asked = _names(name)
        if name != source.operation and source.parameter in asked and asked <= known.keys():
            parameters = {each: known[each] for each in sorted(asked)}
            link = {"operationId": operation["operationId"], "parameters": parameters}
            yield operation["operationId"], link


def _names(operation: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", operation))
