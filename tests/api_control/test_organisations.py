"""`/organisations` over HTTP."""

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.control import API, bearer, client_of, key_of
from support.records import operations


@pytest.fixture
async def installer(plane: ControlPlane):
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        yield client


async def test_an_organisation_is_made_with_its_first_key(installer, anybody, plane: ControlPlane):
    made = (await installer.post(f"{API}/organisations", json={"id": "acme"})).json()

    own = await anybody.get(f"{API}/organisations/acme", headers=bearer(made["key"]))
    keys = await anybody.get(f"{API}/keys", headers=bearer(made["key"]))
    assert own.json() == {name: made[name] for name in ("id", "name", "created_at")}
    assert [key["name"] for key in keys.json()["keys"]] == ["admin"]
    assert operations(plane, "acme") == ["organisation.create", "api_key.create"]
    assert operations(plane)[-1] == "organisation.create"


async def test_an_id_is_taken_once(installer, plane: ControlPlane):
    body = {"id": "acme", "name": "Acme"}
    first, second = [await installer.post(f"{API}/organisations", json=body) for _ in range(2)]

    assert (first.status_code, second.status_code) == (201, 409)
    assert operations(plane, "acme") == ["organisation.create", "api_key.create"]


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "x" * 64, "-a"])
async def test_an_id_stands_in_paths(installer, name: str):
    answer = await installer.post(f"{API}/organisations", json={"id": name})

    assert answer.status_code == 400


async def test_organisations_are_listed_page_by_page(installer):
    for name in ("b", "a", "c"):
        await installer.post(f"{API}/organisations", json={"id": name})
    found, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await installer.get(f"{API}/organisations", params=query)).json()
        found += [each["id"] for each in page["organisations"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert found == ["a", "b", "c", "default"]


async def test_only_an_admin_of_the_installation_sees_others(
    installer, admin: httpx.AsyncClient, plane: ControlPlane
):
    await installer.post(f"{API}/organisations", json={"id": "acme"})

    assert (await installer.get(f"{API}/organisations/acme")).status_code == 200
    assert (await installer.get(f"{API}/organisations/nobody")).status_code == 404
    assert (await admin.get(f"{API}/organisations/default")).status_code == 200
    assert (await admin.get(f"{API}/organisations/acme")).status_code == 404
    assert (await admin.get(f"{API}/organisations")).status_code == 403
    assert (await admin.post(f"{API}/organisations", json={"id": "x"})).status_code == 403
