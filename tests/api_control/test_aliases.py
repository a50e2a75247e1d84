"""`/models/{id}/aliases` over HTTP: names that point at versions, and who was what when."""

import asyncio

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support.control import API, WallClock, client_of, key_of
from support.versions import made_model, published_version, ready_version


@pytest.fixture
async def model(admin: httpx.AsyncClient, plane: ControlPlane) -> str:
    """A model with the published versions 1.0.0, 2.0.0 and 3.0.0."""
    model = await made_model(admin)
    for number in ("1.0.0", "2.0.0", "3.0.0"):
        await published_version(admin, plane, model, number)
    return model


def path_of(model: str, name: str = "production") -> str:
    return f"{API}/models/{model}/aliases/{name}"


async def moved(client: httpx.AsyncClient, model: str, number: str, **body) -> httpx.Response:
    return await client.put(path_of(model), json={"version": number, **body})


async def test_an_alias_is_moved_and_its_history_told(
    admin: httpx.AsyncClient, model: str, clock: WallClock
):
    first = (await moved(admin, model, "1.0.0")).json()
    clock.advance(hours=1)
    await moved(admin, model, "2.0.0")
    same = (await moved(admin, model, "2.0.0")).json()
    clock.advance(hours=1)
    removed = await admin.delete(path_of(model))

    history = (await admin.get(f"{path_of(model)}/history")).json()["history"]
    assert [(step["revision"], step["version"], step["moved_at"][11:16]) for step in history] == [
        (3, None, "14:00"),
        (2, "2.0.0", "13:00"),
        (1, "1.0.0", "12:00"),
    ]
    assert history[2] == first
    assert first["moved_by"].startswith("key:")
    assert same["revision"] == 2
    assert removed.json()["version"] is None
    assert (await admin.get(path_of(model))).status_code == 404
    assert (await admin.delete(path_of(model))).status_code == 404
    page = await admin.get(f"{path_of(model)}/history?limit=1&offset=1")
    assert [step["revision"] for step in page.json()["history"]] == [2]
    assert (await moved(admin, model, "3.0.0")).json()["revision"] == 4


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-11-21T11:59:59Z", None),
        ("2026-11-21T12:00:00Z", "1.0.0"),
        ("2026-11-21T12:59:59.999999Z", "1.0.0"),
        ("2026-11-21T14:00:00+01:00", "2.0.0"),
        ("2026-11-21T13:59:59Z", "2.0.0"),
        ("2026-11-21T14:00:00Z", None),
        ("2030-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
async def test_who_was_production_when(
    admin: httpx.AsyncClient, model: str, clock: WallClock, at: str, version: str | None
):
    await moved(admin, model, "1.0.0")
    clock.advance(hours=1)
    await moved(admin, model, "2.0.0")
    clock.advance(hours=1)
    await admin.delete(path_of(model))

    answer = await admin.get(path_of(model), params={"at": at})

    assert answer.status_code == (404 if version is None else 200)
    assert answer.json().get("version") == version


@pytest.mark.parametrize("at", ["yesterday", "2026-11-21", "2026-11-21T12:00:00"])
async def test_a_moment_says_where_it_is_the_time(admin: httpx.AsyncClient, model: str, at: str):
    answer = await admin.get(path_of(model), params={"at": at})

    assert (answer.status_code, answer.json()["details"]["fields"][0]["field"]) == (400, "at")


async def test_an_alias_is_moved_only_from_where_it_was_seen(admin: httpx.AsyncClient, model: str):
    made = await moved(admin, model, "1.0.0", expected_revision=0)
    twice = await moved(admin, model, "2.0.0", expected_revision=0)
    seen = await moved(admin, model, "2.0.0", expected_revision=1)
    late = await moved(admin, model, "3.0.0", expected_revision=1)

    assert [each.status_code for each in (made, twice, seen, late)] == [200, 409, 200, 409]
    assert late.json()["details"] == {"revision": 2, "version": "2.0.0"}
    assert (await admin.get(path_of(model))).json()["version"] == "2.0.0"


async def test_of_many_that_move_it_from_one_place_one_does(admin: httpx.AsyncClient, model: str):
    targets = ["1.0.0", "2.0.0", "3.0.0"] * 3

    answers = await asyncio.gather(
        *(moved(admin, model, number, expected_revision=0) for number in targets)
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 8


async def test_a_step_never_lies_before_the_one_it_follows(
    admin: httpx.AsyncClient, model: str, clock: WallClock
):
    await moved(admin, model, "1.0.0")
    clock.advance(hours=-1)  # another replica's clock

    assert (await moved(admin, model, "2.0.0")).json()["moved_at"] == "2026-11-21T12:00:00+00:00"
    at = {"at": "2026-11-21T12:00:00Z"}
    assert (await admin.get(path_of(model), params=at)).json()["version"] == "2.0.0"


async def test_all_aliases_of_a_model_are_listed(admin: httpx.AsyncClient, model: str):
    for name, number in [("production", "1.0.0"), ("canary", "2.0.0"), ("old", "1.0.0")]:
        await admin.put(path_of(model, name), json={"version": number})
    await admin.delete(path_of(model, "old"))

    listed = (await admin.get(f"{API}/models/{model}/aliases")).json()["aliases"]

    assert [(each["name"], each["version"]) for each in listed] == [
        ("canary", "2.0.0"),
        ("production", "1.0.0"),
    ]


async def test_an_alias_points_at_what_is_published(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane
):
    await ready_version(admin, plane, model, "4.0.0")
    await admin.post(f"{API}/models/{model}/versions/1.0.0/deprecate", json={})

    answers = [await moved(admin, model, number) for number in ("4.0.0", "1.0.0", "9.0.0")]

    assert [answer.status_code for answer in answers] == [409, 409, 404]
    assert (await admin.get(f"{API}/models/{model}/aliases")).json() == {"aliases": []}


@pytest.mark.parametrize("name", ["latest", "Production", "a b", "-x", "x" * 65])
async def test_a_name_that_is_none_is_refused(admin: httpx.AsyncClient, model: str, name: str):
    answer = await admin.put(path_of(model, name), json={"version": "1.0.0"})

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize("suffix", ["", "/history"])
async def test_another_organisation_s_alias_is_not_there(
    admin: httpx.AsyncClient, model: str, plane: ControlPlane, suffix: str
):
    await moved(admin, model, "1.0.0")
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        read = await stranger.get(path_of(model) + suffix)
        written = await moved(stranger, model, "2.0.0")

    assert (read.status_code, written.status_code) == (404, 404)
    assert (await admin.get(path_of(model))).json()["version"] == "1.0.0"
