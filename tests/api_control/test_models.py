"""`/models` over HTTP, as the published client calls it."""

import asyncio

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support.control import API, WallClock, client_of, key_of
from support.rollouts import published
from support.versions import CREATION, made_model, made_version


async def test_a_model_is_made_and_shown(admin: httpx.AsyncClient):
    answer = await admin.post(f"{API}/models", json=CREATION)
    model = answer.json()

    assert answer.status_code == 201
    assert {key: model[key] for key in CREATION} == CREATION
    assert model["id"].startswith("mdl_")
    assert (await admin.get(f"{API}/models/{model['id']}")).json() == model


async def test_making_it_again_returns_it_as_it_is(admin: httpx.AsyncClient):
    first = (await admin.post(f"{API}/models", json=CREATION)).json()
    again = await admin.post(f"{API}/models", json=CREATION | {"framework": "onnx"})

    assert (again.status_code, again.json()) == (200, first)


async def test_of_many_that_make_it_at_once_all_get_the_same(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    ids = await asyncio.gather(*(made_model(admin) for _ in range(32)))

    assert len(set(ids)) == 1
    assert len((await admin.get(f"{API}/models")).json()["models"]) == 1
    with plane.store.snapshot("default") as tx:
        made = [act for act in tx.audit.entries() if act["operation"] == "model.create"]
    assert len(made) == 1


async def test_models_are_listed_by_name_filtered_and_paged(admin: httpx.AsyncClient):
    for name, framework, use_case in [
        ("c", "onnx", "x"), ("a", "pytorch", "x"), ("b", "pytorch", "y"), ("Z", "onnx", "y"),
    ]:  # fmt: skip
        await made_model(admin, name, framework=framework, use_case=use_case)

    async def listed(**query) -> list[str]:
        answer = await admin.get(f"{API}/models", params={"org_id": "default", **query})
        return [model["name"] for model in answer.json()["models"]]

    assert await listed() == ["Z", "a", "b", "c"]
    assert await listed(framework="pytorch") == ["a", "b"]
    assert await listed(framework="onnx", use_case="y") == ["Z"]
    assert await listed(name="b") == ["b"]
    assert await listed(limit=2, offset=1) == ["a", "b"]
    assert await listed(offset=9) == []


async def test_a_list_is_never_a_bare_one(admin: httpx.AsyncClient):
    assert (await admin.get(f"{API}/models")).json() == {"models": []}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1",
                                   "name=a%00b", f"offset={2**70}"])  # fmt: skip
async def test_a_list_that_makes_no_sense_is_refused(admin: httpx.AsyncClient, query: str):
    answer = await admin.get(f"{API}/models?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


async def test_a_change_replaces_what_it_names_and_keeps_the_rest(
    admin: httpx.AsyncClient, clock: WallClock
):
    model = await made_model(admin, **{**CREATION, "metadata": {"a": 1}})
    clock.advance(hours=1)

    answer = await admin.patch(
        f"{API}/models/{model}",
        json={
            "description": None,
            "model_contract": {"input": [1, 28, 28]},
            "metadata": {"b": [None]},
            "team": "vision",
        },
    )

    shown = (await admin.get(f"{API}/models/{model}")).json()
    assert answer.json() == shown
    assert (shown["description"], shown["framework"]) == (None, "pytorch")
    assert shown["model_contract"] == {"input": [1, 28, 28]}
    assert shown["metadata"] == {"a": 1, "b": [None], "team": "vision"}
    assert (shown["created_at"], shown["updated_at"]) == (
        "2026-11-21T12:00:00+00:00",
        "2026-11-21T13:00:00+00:00",
    )


async def test_a_model_keeps_its_name(admin: httpx.AsyncClient):
    model = await made_model(admin)

    same = await admin.patch(f"{API}/models/{model}", json={"name": "mnist"})
    other = await admin.patch(f"{API}/models/{model}", json={"name": "other"})

    assert same.status_code == 200
    assert (other.status_code, other.json()["error"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": 7}, "name"),
        ({"description": "\u0000"}, "description"),
        ({"framework": "x" * 256}, "framework"),
        ({"metadata": []}, "metadata"),
    ],
)
async def test_what_makes_no_sense_is_named(admin: httpx.AsyncClient, change: dict, field: str):
    model = await made_model(admin)

    made = await admin.post(f"{API}/models", json=CREATION | change)
    changed = await admin.patch(f"{API}/models/{model}", json=change)

    for answer in (made, changed):
        assert answer.status_code == 400
        assert answer.json()["details"]["fields"][0]["field"] == field


async def test_a_model_is_removed_with_its_versions(admin: httpx.AsyncClient):
    model = await made_model(admin)
    await made_version(admin, model)

    answer = await admin.delete(f"{API}/models/{model}")

    assert (answer.status_code, answer.json()) == (200, {"id": model, "deleted": True})
    assert (await admin.get(f"{API}/models/{model}")).status_code == 404
    assert (await admin.get(f"{API}/models/{model}/versions")).status_code == 404
    assert await made_model(admin) != model


async def test_a_model_somebody_needs_is_kept(admin: httpx.AsyncClient):
    base, other = await made_model(admin, "base"), await made_model(admin, "other")
    await published(admin, base, "1.0.0")
    parent = {"model_id": base, "version": "1.0.0"}
    await made_version(admin, other, parents=[parent])
    alias = f"{API}/models/{base}/aliases/production"
    assert (await admin.put(alias, json={"version": "1.0.0"})).status_code == 200

    by_alias = await admin.delete(f"{API}/models/{base}")
    assert (await admin.delete(alias)).status_code == 200
    offer = {"version": "1.0.0", "rollout_percentage": 100, "start_immediately": True}
    rollout = (await admin.post(f"{API}/models/{base}/rollouts", json=offer)).json()
    by_child = await admin.delete(f"{API}/models/{base}")
    assert (await admin.delete(f"{API}/models/{other}")).status_code == 200
    by_rollout = await admin.delete(f"{API}/models/{base}")
    path = f"{API}/models/{base}/rollouts/{rollout['id']}?force=true"
    assert (await admin.delete(path)).status_code == 200
    freed = await admin.delete(f"{API}/models/{base}")

    child = f"the version 1.0.0 of {other}"
    for answer, needed_by in [
        (by_alias, ["the alias 'production'", child]),
        (by_child, [child, f"the rollout {rollout['id']}"]),
        (by_rollout, [f"the rollout {rollout['id']}"]),
    ]:
        assert answer.status_code == 409
        assert answer.json()["details"] == {"needed_by": needed_by}
    assert freed.status_code == 200, freed.text


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/versions"),
                         ("POST", "/versions"), ("GET", "/versions/latest"), ("GET", "/aliases")]
)  # fmt: skip
async def test_another_organisation_s_model_is_not_there(
    admin: httpx.AsyncClient, plane: ControlPlane, method: str, path: str
):
    model = await made_model(admin)
    body = {"version": "1.0.0"} if method == "POST" else {}
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        answer = await stranger.request(method, f"{API}/models/{model}{path}", json=body)
        own = await stranger.get(f"{API}/models")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert own.json() == {"models": []}
    assert (await admin.get(f"{API}/models/{model}")).status_code == 200


async def test_a_key_asks_for_its_own_organisation_only(admin: httpx.AsyncClient):
    listed = await admin.get(f"{API}/models?org_id=globex")
    made = await admin.post(f"{API}/models", json=CREATION | {"org_id": "globex"})

    assert (listed.status_code, made.status_code) == (403, 403)


async def test_a_key_that_may_only_read_changes_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model = await made_model(admin)
    async with client_of(plane, key_of(plane, "default", "models:read")) as reader:
        assert (await reader.get(f"{API}/models/{model}")).status_code == 200
        for method, path, body in [
            ("POST", "", CREATION), ("PATCH", f"/{model}", {}), ("DELETE", f"/{model}", None),
            ("POST", f"/{model}/versions", {"version": "1.0.0"}),
        ]:  # fmt: skip
            answer = await reader.request(method, f"{API}/models{path}", json=body)
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
