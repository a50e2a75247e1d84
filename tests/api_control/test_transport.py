"""What published clients take for granted of every answer, whatever the route."""

import json

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.belongings import make_all
from support.control import API, client_of, key_of
from support.control_routes import ControlRoute, openapi_of, routes_of
from support.examples import request_of

NO_JSON = {
    "GET /",
    "GET /metrics",
    f"GET {API}/blobs/{{digest}}",
    f"GET {API}/models/{{model_id}}/versions/{{version}}/download",
}
"""A page, a text, and files."""

ORDER = ("GET", "PUT", "PATCH", "POST", "DELETE")


@pytest.fixture
def routes() -> list[ControlRoute]:
    return [route for route in routes_of() if route.method != "HEAD"]


async def test_every_answer_has_a_body_of_json(plane: ControlPlane, routes: list[ControlRoute]):
    """Clients parse it unasked: an empty 204 breaks them."""
    document, statuses = openapi_of(), set()
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        made = await make_all(client)
        for route in sorted(routes, key=lambda each: ORDER.index(each.method)):
            if str(route) in NO_JSON:
                continue
            options = request_of(document["paths"][route.path][route.method.lower()], document)
            answer = await client.request(route.method, route.filled(made), **options)
            statuses.add(answer.status_code)
            assert answer.headers["content-type"] == "application/json", str(route)
            assert isinstance(json.loads(answer.content), dict | list), str(route)
            assert "detail" not in answer.json(), str(route)

    assert {200, 201, 400, 409, 501} <= statuses


async def test_a_slash_at_the_end_leads_nowhere_and_redirects_nobody(
    plane: ControlPlane, routes: list[ControlRoute]
):
    """A redirect would lose a POST's body, and a genuine 404 must not look like a cold start."""
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        for route in routes:
            if route.path == "/":
                continue
            path = route.filled(dict.fromkeys(route.parameters, "x")) + "/"
            answer = await client.request(route.method, path)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), str(route)
            assert "detail" not in answer.json()
