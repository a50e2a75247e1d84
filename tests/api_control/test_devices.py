"""`/devices` over HTTP, as the published client calls it."""

import asyncio
import json

import httpx
import pytest

from octomil.control.jobs.catalog import write_last_seen
from octomil.control.plane import ControlPlane
from octomil.control.records import EMPTY_PROFILE, Device
from octomil.control.services.assignments import FleetPlan, Layer, ModelLayers, PlanKey
from octomil.registry.signatures import Signer, new_private_key
from octomil.rollouts.buckets import PLACES
from support.control import API, bearer, client_of, key_of

REGISTRATION = {
    "device_identifier": "hospital-001",
    "org_id": "default",
    "platform": "python",
    "os_version": "macos",
    "sdk_version": "4.1.2",
    "app_version": None,
    "metadata": {"ward": "Ä", "beds": [1, 2.5, None]},
    "capabilities": {"training": True},
}
"""What the published client sends."""


async def registered(client: httpx.AsyncClient, identifier: str = "hospital-001") -> str:
    body = {**REGISTRATION, "device_identifier": identifier}
    answer = await client.post(f"{API}/devices/register", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def tokens_of(client: httpx.AsyncClient, identifier: str = "hospital-001") -> dict:
    body = {"org_id": "default", "device_identifier": identifier, "scopes": ["devices:write"]}
    answer = await client.post(f"{API}/device-auth/bootstrap", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def actions(plane: ControlPlane, organisation: str = "default") -> list[str]:
    with plane.store.snapshot(organisation) as tx:
        tx.audit.verify()
        return [entry["operation"] for entry in tx.audit.entries()]


async def test_a_device_registers_and_is_shown(admin: httpx.AsyncClient):
    answer = await admin.post(f"{API}/devices/register", json=REGISTRATION)
    device = answer.json()

    shown = (await admin.get(f"{API}/devices/{device['id']}")).json()

    assert {key: shown[key] for key in REGISTRATION} == REGISTRATION
    assert shown == device
    assert shown["created_at"] == "2026-11-21T12:00:00+00:00"


async def test_registering_again_is_the_same_device_brought_up_to_date(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    first = await registered(admin)
    newer = {**REGISTRATION, "sdk_version": "4.2.0"}

    assert (await admin.post(f"{API}/devices/register", json=newer)).json()["id"] == first
    assert (await admin.post(f"{API}/devices/register", json=newer)).json()["id"] == first

    assert (await admin.get(f"{API}/devices/{first}")).json()["sdk_version"] == "4.2.0"
    assert actions(plane) == ["api_key.create", "device.register", "device.update"]


async def test_of_many_registrations_at_once_there_is_one_device(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    ids = await asyncio.gather(*(registered(admin) for _ in range(20)))

    assert len(set(ids)) == 1
    assert actions(plane).count("device.register") == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"device_identifier": ""}, "device_identifier"),
        ({"device_identifier": "a\u0000b"}, "device_identifier"),
        ({"device_identifier": "x" * 256}, "device_identifier"),
        ({"device_identifier": 7}, "device_identifier"),
        ({"platform": "a\nb"}, "platform"),
        ({"capabilities": []}, "capabilities"),
    ],
)
async def test_what_makes_no_sense_is_named(admin: httpx.AsyncClient, change, field):
    answer = await admin.post(f"{API}/devices/register", json=REGISTRATION | change)

    body = answer.json()
    assert answer.status_code == body["status_code"] == 400
    assert body["error"] == "bad_request"
    assert body["details"]["fields"][0]["field"] == field
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"device_identifier": "x", "metadata": {"a": NaN}}',
        b'{"device_identifier": "\\ud800"}',
        b'{"device_identifier": "x", "metadata": {"a": "\\ud800"}}',
        b'{"device_identifier": "x", "metadata": {"a": 1e999}}',
        b'{"device_identifier": "x", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"device_identifier": "\xff"}',
    ],
    ids=range(10),
)
async def test_what_is_no_json_is_refused(admin: httpx.AsyncClient, content: bytes):
    answer = await admin.post(
        f"{API}/devices/register", content=content, headers={"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request"), answer.text


@pytest.mark.parametrize("path", ["/devices/register", "/route"])
@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
async def test_json_that_is_not_said_to_be_any_is_told_so(
    admin: httpx.AsyncClient, path: str, kind: str | None
):
    content, headers = json.dumps(REGISTRATION).encode(), {"content-type": kind} if kind else {}

    answer = await admin.post(f"{API}{path}", content=content, headers=headers)

    assert answer.status_code == 400
    assert "`Content-Type: application/json`" in answer.json()["message"]


async def test_a_large_body_is_refused_before_it_is_read(admin: httpx.AsyncClient):
    large = {**REGISTRATION, "metadata": {"a": "x" * 2**20}}

    answer = await admin.post(f"{API}/devices/register", json=large)

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert answer.headers["connection"] == "close"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_heartbeat_is_answered_and_written_down_in_a_batch(
    admin: httpx.AsyncClient, plane: ControlPlane, clock
):
    device = await registered(admin)
    clock.advance(minutes=5)

    answer = await admin.post(f"{API}/devices/{device}/heartbeat", json={})
    await write_last_seen(plane)

    assert answer.json() == {
        "status": "ok",
        "server_time": "2026-11-21T12:05:00+00:00",
        "metadata": {},
    }
    shown = (await admin.get(f"{API}/devices/{device}")).json()
    assert shown["last_seen_at"] == "2026-11-21T12:05:00+00:00"


async def test_a_heartbeat_needs_no_body(admin: httpx.AsyncClient):
    device = await registered(admin)

    assert (await admin.post(f"{API}/devices/{device}/heartbeat")).status_code == 200


async def test_nothing_is_assigned_before_something_is_planned(admin: httpx.AsyncClient):
    device = await registered(admin)

    answer = await admin.get(f"{API}/devices/{device}/assignments")

    assert answer.json() == {
        "updated": False,
        "config_version": 0,
        "assignments_changed": False,
        "rollouts_changed": False,
        "assignments": [],
        "held": [],
    }


async def test_a_poll_with_a_token_says_the_same_as_one_with_a_key(
    admin: httpx.AsyncClient, anybody: httpx.AsyncClient, plane: ControlPlane
):
    tokens = await tokens_of(admin)
    layer = Layer(salt=b"", limit=PLACES, version="1.0.0", digest="sha256:" + "0" * 64)
    models = [ModelLayers(model_id="mdl_1", name="mnist", layers=[layer])]
    key = PlanKey(id="ab" * 8, signer=Signer(new_private_key()))
    plans = {"default": FleetPlan(number=3, models=models, key=key), "globex": FleetPlan(number=9)}
    plane.plans.replace(plans)
    path = f"{API}/devices/{tokens['device_id']}/assignments"

    for query in ("", "?config_version=2", "?config_version=3"):
        by_key = await admin.get(path + query)
        by_token = await anybody.get(path + query, headers=bearer(tokens["access_token"]))
        assert by_token.json() == by_key.json()
        is_news = query != "?config_version=3"
        assert by_token.json()["updated"] is is_news
        told = [each["model_id"] for each in by_token.json()["assignments"]]
        assert told == (["mdl_1"] if is_news else [])
        assert by_token.headers["x-request-id"]


async def test_a_poll_with_a_token_touches_no_database(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    tokens = await tokens_of(admin)
    monkeypatch.setattr(plane.store, "_engines", None)  # whoever asks it now fails

    answer = await admin.get(
        f"{API}/devices/{tokens['device_id']}/assignments", headers=bearer(tokens["access_token"])
    )

    assert answer.status_code == 200
    assert len(plane.last_seen) == 1


@pytest.mark.parametrize(
    "query", ["config_version=x", "config_version=-1", f"config_version={2**70}"]
)
async def test_a_version_that_is_none_is_refused_for_keys_and_tokens(
    admin: httpx.AsyncClient, query: str
):
    tokens = await tokens_of(admin)
    path = f"{API}/devices/{tokens['device_id']}/assignments?{query}"

    for headers in ({}, bearer(tokens["access_token"])):
        assert (await admin.get(path, headers=headers)).status_code == 400


PATHS = [
    ("GET", "/devices/{id}"),
    ("POST", "/devices/{id}/heartbeat"),
    ("GET", "/devices/{id}/assignments"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_another_organisation_s_device_is_not_there(
    admin: httpx.AsyncClient, plane: ControlPlane, method: str, path: str
):
    device = await registered(admin)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        answer = await stranger.request(method, API + path.format(id=device))

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert answer.text != '{"detail":"Not Found"}'


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_device_asks_for_itself_only(admin: httpx.AsyncClient, method: str, path: str):
    tokens = await tokens_of(admin)
    other = await registered(admin, "hospital-002")
    headers = bearer(tokens["access_token"])

    own = await admin.request(method, API + path.format(id=tokens["device_id"]), headers=headers)
    foreign = await admin.request(method, API + path.format(id=other), headers=headers)

    assert own.status_code == 200
    assert (foreign.status_code, foreign.json()["error"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), [*PATHS, ("POST", "/devices/register")])
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer edg_x", "Bearer oda_x.y.z",
                                           "Basic eDp5", "Bearer \xe9", "Bearer oda_"])  # fmt: skip
async def test_without_a_valid_key_there_is_nothing(
    anybody: httpx.AsyncClient, method: str, path: str, authorization: str | None
):
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    answer = await anybody.request(
        method, API + path.format(id="dev_1"), headers=headers, json=REGISTRATION
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_scope_registers_nothing(plane: ControlPlane):
    async with client_of(plane, key_of(plane, "default", "devices:read")) as reader:
        answer = await reader.post(f"{API}/devices/register", json=REGISTRATION)

    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "devices:register" in answer.json()["message"]
    assert actions(plane) == ["api_key.create"]


async def test_a_key_registers_for_its_own_organisation_only(admin: httpx.AsyncClient):
    answer = await admin.post(f"{API}/devices/register", json=REGISTRATION | {"org_id": "globex"})

    assert answer.status_code == 403
    assert "'globex'" in answer.json()["message"]


async def test_a_device_s_token_registers_itself_only(admin: httpx.AsyncClient, plane):
    tokens = await tokens_of(admin)
    headers = bearer(tokens["access_token"])

    own = await admin.post(f"{API}/devices/register", json=REGISTRATION, headers=headers)
    foreign = await admin.post(
        f"{API}/devices/register",
        json=REGISTRATION | {"device_identifier": "hospital-002"},
        headers=headers,
    )

    assert own.json()["id"] == tokens["device_id"]
    assert foreign.status_code == 403
    assert actions(plane).count("device.register") == 1


_DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("register", REGISTRATION),
        (
            "{id}/attestations",
            {"model_id": "m", "version": "1.0.0", "digest": _DIGEST, "status": "active"},
        ),
        ("{id}/stages", {"model_id": "m", "digest": _DIGEST, "stage": "downloading"}),
        (
            "{id}/usage",
            {
                "window": 1,
                "usage": [
                    {
                        "model_id": "m",
                        "digest": _DIGEST,
                        "tier": "fast",
                        "requests": 1,
                        "errors": 0,
                        "log_latency_ms_sum": 1.0,
                    }
                ],
            },
        ),
    ],
)
async def test_a_token_that_outlived_its_device_is_not_taken(
    admin: httpx.AsyncClient, plane: ControlPlane, path: str, body: dict
):
    """As that of a device which registered after the backup that was restored."""
    now = plane.clock()
    lost = Device(
        id="dev_lost",
        organisation="default",
        identifier=REGISTRATION["device_identifier"],
        profile=EMPTY_PROFILE,
        generation=0,
        created_at=now,
        updated_at=now,
    )
    token, _ = plane.access_tokens.give(lost, ("devices:write",), 3600)

    answer = await admin.post(
        f"{API}/devices/{path.format(id=lost.id)}", json=body, headers=bearer(token)
    )

    assert answer.status_code == 401
    assert "bootstrap again" in answer.json()["message"]
    assert actions(plane) == ["api_key.create"]
    assert await registered(admin) != lost.id
