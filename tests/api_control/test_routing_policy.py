"""`/route/policy` over HTTP, as published clients fetch and keep it."""

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers
from support.control import API, client_of, key_of

POLICY = f"{API}/route/policy"
FIELDS = {
    "version": int,
    "thresholds": dict,
    "complex_indicators": list,
    "deterministic_enabled": bool,
    "ttl_seconds": int,
    "length_weight": float,
    "indicator_weight": float,
    "fast_threshold": float,
    "quality_threshold": float,
    "indicator_normalizor": float,
}
"""What published clients read; they spell the last one so."""


async def test_it_has_what_published_clients_read(admin: httpx.AsyncClient):
    answer = await admin.get(POLICY)
    policy = answer.json()

    assert answer.status_code == 200
    assert {name: type(value) for name, value in policy.items()} == FIELDS
    assert policy["thresholds"] == {"fast_max_words": 10, "quality_min_words": 50}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == f"private, max-age={policy['ttl_seconds']}"


async def test_scores_mean_what_they_mean_to_our_router(admin: httpx.AsyncClient):
    policy = (await admin.get(POLICY)).json()

    thresholds = QueryRouter(assign_tiers(["one"])).thresholds
    assert (policy["fast_threshold"], policy["quality_threshold"]) == thresholds
    assert policy["length_weight"] + policy["indicator_weight"] == 1


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
async def test_who_has_it_is_told_so(admin: httpx.AsyncClient, form: str):
    first = await admin.get(POLICY)
    known = form.format(tag=first.headers["etag"])

    again = await admin.get(POLICY, headers={"if-none-match": known})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"]


async def test_who_has_another_one_gets_it(admin: httpx.AsyncClient):
    answer = await admin.get(POLICY, headers={"if-none-match": '"old"'})

    assert (answer.status_code, answer.json()["version"]) == (200, 1)


async def test_it_is_the_same_for_every_organisation(admin: httpx.AsyncClient, plane: ControlPlane):
    async with client_of(plane, key_of(plane, "globex", "inference:use")) as other:
        theirs = await other.get(POLICY)

    ours = await admin.get(POLICY)
    assert (theirs.content, theirs.headers["etag"]) == (ours.content, ours.headers["etag"])
