"""Nobody reaches what is another organisation's, by any route; new routes are swept too."""

import httpx
import pytest

from octomil.control.api.not_served import CALLS
from octomil.control.plane import ControlPlane
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from support.belongings import MAKERS, NAMES, make_all
from support.control import API, bearer, client_of, key_of
from support.control_routes import ControlRoute, openapi_of, routes_of
from support.examples import request_of
from support.model_files import safetensors_file
from support.registry import new_model, uploaded


@pytest.fixture
def with_ids() -> list[ControlRoute]:
    """The routes with ids in their paths; those that are open ask for a proof in the query."""
    not_served = {f"{method} {API}{path}" for method, path in CALLS}
    return [
        route for route in routes_of()
        if route.parameters and not route.is_open and str(route) not in not_served
    ]  # fmt: skip


def test_there_is_a_maker_for_each_name_in_a_path(with_ids: list[ControlRoute]):
    names = {name for route in with_ids for name in route.parameters}

    assert names - set(MAKERS) == set()


async def test_what_is_another_organisations_is_not_there(
    plane: ControlPlane, with_ids: list[ControlRoute]
):
    document = openapi_of()
    owner_key = key_of(plane, "default", ALL_SCOPES, INSTALLATION)
    async with client_of(plane, owner_key) as client:
        made = await make_all(client)
        stranger = bearer(key_of(plane, "globex"))
        for route in with_ids:
            options = request_of(document["paths"][route.path][route.method.lower()], document)
            headers = {**options.pop("headers"), **stranger}
            path = route.filled(made)
            answer = await client.request(route.method, path, headers=headers, **options)
            assert answer.status_code == 404, f"{route}: {answer.text}"


async def lists_of(client: httpx.AsyncClient, routes: list[ControlRoute]) -> dict[str, str]:
    """What each route answers; also if it is asked for the first organisation's."""
    return {
        f"{route} {query}": (await client.get(route.path, params=query)).text
        for route in routes for query in ({}, {"org_id": "default"})
    }  # fmt: skip


def told_in(texts: dict[str, str], words: set[str]) -> set[tuple[str, str]]:
    return {(name, word) for name, text in texts.items() for word in words if word in text}


async def test_nothing_of_another_organisation_is_in_a_list(plane: ControlPlane):
    routes = [each for each in routes_of() if each.method == "GET" and not each.parameters]
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as owner:
        made = await make_all(owner)
        mine = await lists_of(owner, routes)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        theirs = await lists_of(stranger, routes)

    words = {made[f"{each}_id"] for each in ("device", "key", "bootstrap_token", "webhook",
                                             "model", "rollout")}  # fmt: skip
    words |= {f'"{name}"' for name in NAMES}
    listed = {word for _, word in told_in(mine, words)}
    assert listed == words, "what is not told to its owner proves nothing"
    assert told_in(theirs, words) == set()


async def test_where_a_model_runs_is_not_told_by_what_others_measured(plane: ControlPlane):
    capabilities = {"platform": "linux", "total_memory_mb": 4096}
    asked = {"model_params": 10**8, "model_size_mb": 100, "device_capabilities": capabilities}
    async with client_of(plane, key_of(plane)) as owner:
        mine = await new_model(owner)
        device = await owner.post(f"{API}/devices/register", json={"device_identifier": "box-1"})
        measured = {"model_id": mine, "model_size_mb": 100, "model_params": 10**8,
                    "engine": "llama_cpp", "tokens_per_s": 50, "first_token_ms": 1}  # fmt: skip
        kept = await owner.put(
            f"{API}/devices/{device.json()['id']}/profile",
            json={**capabilities, "accelerator": "cpu", "models": [measured]},
        )
        assert kept.is_success, kept.text
        to_owner = (await owner.post(f"{API}/route", json={**asked, "model_id": mine})).json()
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        to_stranger, of_none = [
            (await stranger.post(f"{API}/route", json={**asked, "model_id": model})).json()
            for model in (mine, "mod_none")
        ]

    assert to_owner["estimates_measured"]["device"]
    own = {"id": "", "routing_latency_us": 0}
    assert to_stranger | own == of_none | own


async def test_to_its_owner_it_is_there(plane: ControlPlane, with_ids: list[ControlRoute]):
    """Else the sweep above would prove nothing."""
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        made = await make_all(client)
        answers: dict[str, httpx.Response] = {}
        for route in with_ids:
            if route.method == "GET":
                answers[str(route)] = await client.get(route.filled(made))

    assert answers
    refused = {name: a.status_code for name, a in answers.items() if not a.is_success}
    assert {status for status in refused.values() if status != 501} == set(), refused


async def test_what_another_organisation_has_is_not_there_for_bodies_either(plane: ControlPlane):
    """Ids, digests and names that a request carries inside, where no route shows them."""
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as owner:
        made = await make_all(owner)
        content = safetensors_file(w=[3.0])
        foreign_file = await uploaded(owner, content)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        own = await new_model(stranger, "own")
        body = {"device_identifier": "box-1", "scopes": ["devices:write"]}
        tokens = (await stranger.post(f"{API}/device-auth/bootstrap", json=body)).json()
        parent = {"model_id": made["model_id"], "version": made["version"]}
        versions = f"{API}/models/{own}/versions"
        tried = {
            "a parent": (versions, {"version": "1.0.0", "parents": [parent]}),
            "a file": (versions, {"version": "1.0.0", "storage_path": foreign_file}),
            "a rollout's version": (f"{API}/models/{own}/rollouts",
                                    {"version": made["version"], "rollout_percentage": 100}),
            "an attested model": (f"{API}/devices/{tokens['device_id']}/attestations",
                                  {"model_id": made["model_id"], "version": made["version"],
                                   "digest": "sha256:" + "0" * 64}),
        }  # fmt: skip
        answers = {
            name: await stranger.post(
                path, json=body,
                headers=bearer(tokens["access_token"]) if "attest" in path else {},
            )
            for name, (path, body) in tried.items()
        }  # fmt: skip
        as_device = await stranger.post(
            f"{API}/device-auth/bootstrap", json={**body, "device_id": made["device_id"]}
        )
        of_theirs = await stranger.post(
            f"{API}/devices/register", json={"device_identifier": "b", "org_id": "default"}
        )

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        tried, 404
    )
    assert (as_device.status_code, of_theirs.status_code) == (409, 403)
