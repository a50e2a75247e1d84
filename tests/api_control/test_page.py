"""The page at `/`: for people with a key, and safe whatever things are called."""

import base64
import hashlib
import re

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support.control import API, client_of, key_of
from support.model_files import safetensors_file
from support.registry import new_model, sent
from support.rollouts import AT_ONCE


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"ann:{key}".encode()).decode()}


async def test_it_shows_the_line_from_model_to_device(admin: httpx.AsyncClient):
    model = await new_model(admin, "mnist")
    await sent(admin, model, safetensors_file(w=[1.0]))
    path = f"{API}/models/{model}"
    digest = (await admin.post(f"{path}/versions/1.0.0/publish", json={})).json()["digest"]
    body = {"device_identifier": "box-1", "scopes": ["devices:write"]}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    rollout = {**AT_ONCE, "version": "1.0.0"}
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
    policy = page.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "unsafe" not in policy
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


EVIL = """'"><script>alert(1)</script>{{ 7 * 7 }}"""


async def test_names_and_messages_are_text_and_never_markup(admin: httpx.AsyncClient):
    """Of a model, a device (twice), its platform, and what it reports."""
    model = await new_model(admin, EVIL)
    await sent(admin, model, safetensors_file(w=[1.0]))
    path = f"{API}/models/{model}"
    digest = (await admin.post(f"{path}/versions/1.0.0/publish", json={})).json()["digest"]
    body = {"device_identifier": EVIL, "scopes": ["devices:write"]}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    await admin.post(f"{API}/devices/register", json={"device_identifier": EVIL, "platform": EVIL})
    rollout = {**AT_ONCE, "version": "1.0.0"}
    await admin.post(f"{path}/rollouts", json=rollout)
    told = {"model_id": model, "version": "1.0.0", "digest": digest, "status": "failed",
            "message": EVIL}  # fmt: skip
    answer = await admin.post(
        f"{API}/devices/{tokens['device_id']}/attestations",
        json=told,
        headers={"authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.is_success, answer.text

    page = await admin.get("/")

    assert "<script" not in page.text
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}") == 5


async def test_it_shows_nothing_of_other_organisations(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    await new_model(admin, "secret-model")

    async with client_of(plane, key_of(plane, "globex")) as stranger:
        page = await stranger.get("/")

    assert "globex" in page.text
    assert "secret-model" not in page.text
