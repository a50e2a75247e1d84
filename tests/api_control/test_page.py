"""The page at `/`: for people with a key, and safe whatever things are called."""

import base64

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support.control import API, client_of, key_of
from support.model_files import safetensors_file
from support.registry import new_model, sent


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"ann:{key}".encode()).decode()}


async def test_it_shows_the_line_from_model_to_device(admin: httpx.AsyncClient):
    model = await new_model(admin, "mnist")
    await sent(admin, model, safetensors_file(w=[1.0]))
    path = f"{API}/models/{model}"
    digest = (await admin.post(f"{path}/versions/1.0.0/publish", json={})).json()["digest"]
    body = {"device_identifier": "box-1", "scopes": ["devices:write"]}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    rollout = {"version": "1.0.0", "rollout_percentage": 100, "start_immediately": True}
    await admin.post(f"{path}/rollouts", json=rollout)
    await admin.post(
        f"{API}/devices/{tokens['device_id']}/attestations",
        json={"model_id": model, "version": "1.0.0", "digest": digest},
        headers={"authorization": f"Bearer {tokens['access_token']}"},
    )

    page = await admin.get("/")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for shown in ("mnist", "1.0.0", "published", digest[7:], "box-1", "attested"):
        assert shown in page.text


async def test_a_browser_gives_the_key_as_a_password(plane: ControlPlane, anybody):
    page = await anybody.get("/", headers=basic(key_of(plane)))

    assert page.status_code == 200
    assert "There are no models yet" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [{}, basic("edg_nobody"), {"authorization": "Basic !"}, {"authorization": "Basic"}],
)
async def test_without_a_key_a_browser_is_asked_for_one(anybody, headers: dict[str, str]):
    page = await anybody.get("/", headers=headers)

    assert page.status_code == 401
    assert page.headers["www-authenticate"].startswith("Basic ")
    assert "default" not in page.text


async def test_a_key_that_may_not_see_it_all_is_refused(plane: ControlPlane, anybody):
    page = await anybody.get("/", headers=basic(key_of(plane, "default", "models:read")))

    assert page.status_code == 403


async def test_names_are_text_and_never_markup(admin: httpx.AsyncClient):
    name = "<script>alert(1)</script>"
    await new_model(admin, name)

    page = await admin.get("/")

    assert name not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


async def test_it_shows_nothing_of_other_organisations(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    await new_model(admin, "secret-model")

    async with client_of(plane, key_of(plane, "globex")) as stranger:
        page = await stranger.get("/")

    assert "globex" in page.text
    assert "secret-model" not in page.text
