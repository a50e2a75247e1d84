"""`/devices` over HTTP, as whoever runs the fleet uses it: lists, labels, revocation, removal."""

import httpx
import pytest

from octomil.control.jobs.catalog import write_last_seen
from octomil.control.plane import ControlPlane
from support.control import API, bearer, client_of, key_of
from support.records import operations


async def registered(client: httpx.AsyncClient, identifier: str, **profile) -> str:
    body = {"device_identifier": identifier} | profile
    answer = await client.post(f"{API}/devices/register", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def tagged(client: httpx.AsyncClient, device: str, **change) -> dict:
    answer = await client.patch(f"{API}/devices/{device}", json=change)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(client: httpx.AsyncClient, limit: int = 2, **query) -> list[str]:
    """The identifiers on all pages."""
    found: list[str] = []
    while True:
        answer = await client.get(f"{API}/devices", params={"limit": limit, **query})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["devices"]) <= limit
        found += [device["device_identifier"] for device in page["devices"]]
        if page["next_cursor"] is None:
            return found
        assert len(page["devices"]) == limit
        query["cursor"] = page["next_cursor"]


@pytest.fixture
async def fleet(admin: httpx.AsyncClient, plane: ControlPlane, clock) -> dict[str, str]:
    """Five devices, a minute apart; the third never seen again after the others were."""
    ids = {}
    for number, platform in enumerate(("ios", "android", "ios", "linux", "ios")):
        clock.advance(minutes=1)
        name = f"{'ward' if number % 2 else 'home'}-{number}"
        ids[name] = await registered(admin, name, platform=platform)
        await write_last_seen(plane)
    await tagged(admin, ids["home-0"], labels={"site": "a", "tier": "1"}, groups=["beta"])
    await tagged(admin, ids["home-2"], labels={"site": "a"}, groups=["beta", "gamma"])
    await tagged(admin, ids["ward-3"], labels={"site": "b", "tier": "1"})
    return ids


async def test_devices_are_listed_the_youngest_first(admin, fleet):
    assert await listed(admin) == ["home-4", "ward-3", "home-2", "ward-1", "home-0"]


FILTERS: list[tuple[dict, list[str]]] = [
    ({"platform": "ios"}, ["home-4", "home-2", "home-0"]),
    ({"platform": "amiga"}, []),
    ({"label": "site=a"}, ["home-2", "home-0"]),
    ({"label": ["site=a", "tier=1"]}, ["home-0"]),
    ({"label": "site="}, []),
    ({"group": "beta"}, ["home-2", "home-0"]),
    ({"group": "beta", "label": "tier=1"}, ["home-0"]),
    ({"group": "bet"}, []),
    ({"text": "ward"}, ["ward-1", "ward-3"]),
    ({"text": "home", "label": "site=a"}, ["home-0", "home-2"]),
    ({"text": "ome"}, []),
    ({"text": "%"}, []),
    ({"seen_after": "2026-11-21T12:04:00Z"}, ["home-4", "ward-3"]),
    ({"seen_before": "2026-11-21T12:04:00Z"}, ["home-2", "ward-1", "home-0"]),
    ({"seen_before": "2026-11-21T13:04:00+01:00", "platform": "ios"}, ["home-2", "home-0"]),
    (
        {"seen_after": "2026-11-21T12:02:00Z", "seen_before": "2026-11-21T12:04:00Z"},
        ["home-2", "ward-1"],
    ),
    ({"seen_before": "0001-01-01T00:00:00+23:59"}, []),
    ({"seen_before": "9999-12-31T23:59:59-23:59", "group": "gamma"}, ["home-2"]),
]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_filters_hold_on_every_page(admin, fleet, limit: int):
    found = [(query, await listed(admin, limit, **query)) for query, _ in FILTERS]

    assert found == FILTERS


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "é"},
        {"label": "site"},
        {"label": "a b=c"},
        {"group": "a b"},
        {"seen_after": "yesterday"},
        {"seen_after": "0.5"},
        {"seen_after": "2026-11-21T12:04:00"},
        {"text": ""},
        {"text": "a\x00"},
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(admin, query: dict):
    answer = await admin.get(f"{API}/devices", params=query)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


async def test_a_cursor_belongs_to_its_order(admin, fleet):
    by_id = (await admin.get(f"{API}/devices", params={"limit": 1})).json()["next_cursor"]

    answer = await admin.get(f"{API}/devices", params={"cursor": by_id, "text": "home"})

    assert answer.status_code == 400


async def test_pages_hold_every_device_once_while_others_register(admin, fleet):
    first = (await admin.get(f"{API}/devices", params={"limit": 3})).json()
    await registered(admin, "late")
    query = {"limit": 3, "cursor": first["next_cursor"]}
    second = (await admin.get(f"{API}/devices", params=query)).json()

    names = [d["device_identifier"] for d in first["devices"] + second["devices"]]
    assert names == ["home-4", "ward-3", "home-2", "ward-1", "home-0"]


async def test_labels_are_merged_and_groups_replaced(admin, fleet, plane: ControlPlane):
    change = {"labels": {"site": None, "floor": "3"}, "groups": ["gamma", "alpha", "gamma"]}
    device = await tagged(admin, fleet["home-0"], **change)

    assert device["labels"] == {"tier": "1", "floor": "3"}
    assert device["groups"] == ["alpha", "gamma"]
    assert device == (await admin.get(f"{API}/devices/{fleet['home-0']}")).json()
    assert await listed(admin, label="site=a") == ["home-2"]
    assert await listed(admin, label="floor=3") == ["home-0"]
    assert await listed(admin, group="beta") == ["home-2"]
    before = operations(plane)
    await tagged(admin, fleet["home-0"])
    assert operations(plane) == before  # nothing changed, nothing noted


async def test_what_a_device_says_of_itself_leaves_its_labels_alone(admin, fleet):
    await registered(admin, "home-0", platform="visionos")

    device = (await admin.get(f"{API}/devices/{fleet['home-0']}")).json()

    assert (device["platform"], device["labels"]) == ("visionos", {"site": "a", "tier": "1"})


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"a=b": "c"}},
        {"labels": {"": "c"}},
        {"labels": {"a": "x" * 64}},
        {"labels": {"a": "\n"}},
        {"labels": {f"l{n}": "x" for n in range(65)}},
        {"groups": ["a b"]},
        {"groups": "beta"},
    ],
    ids=range(7),
)
async def test_tags_that_make_no_sense_are_refused(admin, fleet, change: dict):
    answer = await admin.patch(f"{API}/devices/{fleet['home-0']}", json=change)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


async def test_labels_do_not_pile_up(admin, fleet):
    for start in (0, 60):
        labels = {f"l{n}": "x" for n in range(start, start + 60)}
        answer = await admin.patch(f"{API}/devices/{fleet['home-4']}", json={"labels": labels})

    assert (answer.status_code, "at most" in answer.json()["message"]) == (400, True)


async def test_a_revoked_device_is_out_and_may_come_again(admin, anybody, plane: ControlPlane):
    tokens, other = [await bootstrapped(admin, name) for name in ("box-1", "box-2")]

    answer = await admin.post(f"{API}/devices/{tokens['device_id']}/revoke")

    assert answer.json() == {"id": tokens["device_id"], "refresh_tokens": 1, "status": "revoked"}
    assert [await works(anybody, each) for each in (tokens, other)] == [False, True]
    body = {"refresh_token": tokens["refresh_token"]}
    assert (await anybody.post(f"{API}/device-auth/refresh", json=body)).status_code == 401
    assert operations(plane)[-1] == "device.revoke"
    again = await bootstrapped(admin, "box-1")
    assert again["device_id"] == tokens["device_id"]
    assert await works(anybody, again)


async def test_a_removed_device_is_gone_with_its_tokens(admin, anybody, plane: ControlPlane):
    tokens = await bootstrapped(admin, "box-1")
    await tagged(admin, tokens["device_id"], labels={"site": "a"}, groups=["beta"])
    path = f"{API}/devices/{tokens['device_id']}"

    removed = await admin.delete(path)

    assert removed.json() == {"id": tokens["device_id"], "status": "deleted"}
    assert [(await admin.request(method, path, json={})).status_code
            for method in ("GET", "PATCH", "DELETE")] == [404] * 3  # fmt: skip
    assert not await works(anybody, tokens)
    assert await listed(admin) == await listed(admin, label="site=a") == []
    assert operations(plane)[-1] == "device.delete"


async def test_a_removed_device_that_registers_again_begins_anew(admin, anybody, clock):
    old = await bootstrapped(admin, "box-1")
    await tagged(admin, old["device_id"], labels={"site": "a"})
    await admin.delete(f"{API}/devices/{old['device_id']}")
    clock.advance(hours=1)

    new = await bootstrapped(admin, "box-1")

    device = (await admin.get(f"{API}/devices/{new['device_id']}")).json()
    assert new["device_id"] == old["device_id"]
    assert (device["labels"], device["created_at"]) == ({}, "2026-11-21T13:00:00+00:00")
    assert [await works(anybody, tokens) for tokens in (old, new)] == [False, True]
    assert await listed(admin) == ["box-1"]


async def test_another_organisations_devices_are_not_listed(fleet, plane: ControlPlane):
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        for query in ({}, {"text": "home"}, {"label": "site=a"}, {"group": "beta"},
                      {"seen_after": "2020-01-01T00:00:00Z"}):  # fmt: skip
            assert await listed(stranger, **query) == []


async def bootstrapped(client: httpx.AsyncClient, identifier: str) -> dict:
    body = {"device_identifier": identifier}
    answer = await client.post(f"{API}/device-auth/bootstrap", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def works(client: httpx.AsyncClient, tokens: dict) -> bool:
    path = f"{API}/devices/{tokens['device_id']}/assignments"
    answer = await client.get(path, headers=bearer(tokens["access_token"]))
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200
