"""What keys are good for: every route declares it, and one place enforces it."""

import httpx
import pytest

from octomil.control.api.callers import ITSELF
from octomil.control.plane import ControlPlane
from octomil.control.scopes import DEVICE_SCOPES, INSTALLATION, SCOPES
from support.control import API, bearer, client_of, key_of
from support.control_routes import routes_of


def test_every_route_declares_a_scope_or_that_it_is_open():
    routes = list(routes_of())
    undeclared = [str(route) for route in routes if bool(route.scopes - {ITSELF}) == route.is_open]

    assert len(routes) > 20
    assert undeclared == []


def test_every_declared_scope_is_documented_and_every_grantable_one_is_known():
    declared = {scope for route in routes_of() for scope in route.scopes}

    assert declared - {ITSELF} <= set(SCOPES)
    assert set(SCOPES) >= DEVICE_SCOPES


def test_the_open_routes_are_these():
    """Whoever opens another one comes by here."""
    assert {str(route) for route in routes_of() if route.is_open} == OPEN_ROUTES


OPEN_ROUTES = {
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "POST /api/v2/telemetry/events",
    f"GET {API}/health",
    f"POST {API}/device-auth/refresh",
    f"POST {API}/device-auth/revoke",
    f"GET {API}/blobs/{{digest}}",
    f"HEAD {API}/blobs/{{digest}}",
}


async def test_a_key_without_a_routes_scope_is_refused_by_every_one(plane: ControlPlane):
    key = key_of(plane, "default", "nothing:at-all")
    async with client_of(plane, key) as client:
        for route in routes_of():
            if route.is_open:
                continue
            path = route.filled(dict.fromkeys(route.parameters, "x"))
            answer = await client.request(route.method, path)
            assert answer.status_code == 403, f"{route}: {answer.text}"


async def test_without_a_key_every_route_but_the_open_ones_is_closed(anybody: httpx.AsyncClient):
    for route in routes_of():
        if not route.is_open:
            path = route.filled(dict.fromkeys(route.parameters, "x"))
            answer = await anybody.request(route.method, path)
            assert answer.status_code == 401, str(route)


async def test_a_device_s_token_is_no_key(admin: httpx.AsyncClient):
    """Not even for its own device, where the route is not for devices."""
    body = {"device_identifier": "box-1", "scopes": sorted(DEVICE_SCOPES)}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    for route in routes_of():
        if "device_id" not in route.parameters or ITSELF in route.scopes:
            continue
        path = route.filled(dict.fromkeys(route.parameters, tokens["device_id"]))
        headers = bearer(tokens["access_token"])
        answer = await admin.request(route.method, path, headers=headers, json={})
        assert answer.status_code == 403, str(route)


@pytest.mark.parametrize(
    ("held", "scope", "is_covered"),
    [
        (["*"], "models:write", True),
        (["*"], INSTALLATION, False),
        (["devices:write"], "devices:register", True),
        (["devices:register"], "devices:write", False),
        (["devices:write"], "devices:read", False),
        ([], "devices:read", False),
    ],
)
def test_what_a_scope_covers(held: list[str], scope: str, is_covered: bool):
    from octomil.control.scopes import covers

    assert covers(held, scope) is is_covered
