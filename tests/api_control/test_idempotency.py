"""Requests that bear an idempotency key, sent again: over HTTP, on every route that heeds one."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from octomil.control.api.idempotency import HEADER, REPEATED
from octomil.control.api.not_served import CALLS
from octomil.control.plane import ControlPlane
from octomil.control.records import Organisation, RequestKey
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from octomil.control.services.idempotency import MAX_KEPT_BYTES, Answer, KeyedRequest
from octomil.errors import ApiError, ConflictError, ServiceUnavailableError
from support.belongings import make_all
from support.control import API, WallClock, bearer, client_of, control_plane, key_of
from support.control_routes import openapi_of
from support.examples import request_of
from support.postgres import fresh_database
from support.rollouts import AT_ONCE, published
from support.versions import made_model

SECRET_FIELDS = {"key", "token", "secret", "access_token", "refresh_token"}
NOT_KEYED = {
    "POST /device-auth/bootstrap": "the same device gets other tokens, and is counted once",
    "POST /device-auth/refresh": "a refresh token is good once, and for a moment again",
    "POST /device-auth/revoke": "what has ended has ended",
    "POST /devices/{device_id}/heartbeat": "once more harms nothing, and writes nothing",
    "POST /devices/{device_id}/stages": "once more changes nothing",
    "POST /models/{model_id}/versions/upload": "streamed; its content names it",
    "PATCH /uploads/{upload_id}": "streamed; its offset says where it goes",
    "POST /uploads/{upload_id}/complete": "once more changes nothing",
    "POST /blobs/collect": "once more changes nothing",
    "POST /route": "it only answers",
    "POST /devices/{device_id}/routing": "each number of a spool counts once",
    "POST /inference/stream": "streamed",
    "POST /inference/events": "each counts once by its session and type",
}
NOT_KEPT = (403, 501)
SUCCEEDING = 12
"""So many of the calls below succeed with the smallest request that the document allows."""
UPLOAD = {"size_bytes": 3, "name": "net"}


async def begin(client: httpx.AsyncClient, key: str = "once", **changes: Any) -> httpx.Response:
    """Begin an upload: each time another one, unless the key says that it is the same."""
    return await client.post(f"{API}/uploads", json=UPLOAD | changes, headers={HEADER: key})


def uploads_of(plane: ControlPlane) -> frozenset[str]:
    with plane.store.system_snapshot() as tx:
        return tx.blob_ledger.upload_ids()


def heeding(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations that write, by method and path: those whose document names the header."""
    return {
        f"{method.upper()} {path.removeprefix(API)}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in ("post", "put", "patch")
        and HEADER in [each["name"] for each in operation.get("parameters", ())]
    }


async def test_a_repetition_is_answered_alike_and_carried_out_once(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    first, again, other = await begin(admin), await begin(admin), await begin(admin, "other")

    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.content, first.headers["content-type"]) == (
        again.content, again.headers["content-type"]
    )  # fmt: skip
    assert (first.headers.get(REPEATED), again.headers[REPEATED]) == (None, "true")
    assert uploads_of(plane) == {first.json()["id"], other.json()["id"]}


async def test_an_answer_is_the_same_with_a_key_as_without(admin: httpx.AsyncClient):
    body = {"name": "mnist", "metadata": {"ä": [1.5, None]}}
    made = await admin.post(f"{API}/models", json=body, headers={HEADER: "1"})
    there = await admin.post(f"{API}/models", json=body)
    keyed = await admin.post(f"{API}/models", json=body, headers={HEADER: "2"})
    repeated = await admin.post(f"{API}/models", json=body, headers={HEADER: "1"})

    assert [each.status_code for each in (made, there, keyed, repeated)] == [201, 200, 200, 201]
    assert made.content == there.content == keyed.content == repeated.content


async def test_every_route_that_heeds_keys_answers_a_repetition_alike(plane: ControlPlane):
    document = openapi_of()
    async with client_of(plane, key_of(plane, "default", ALL_SCOPES, INSTALLATION)) as client:
        made, kept = await make_all(client), set()
        for name, operation in heeding(document).items():
            method, _, path = name.partition(" ")
            options = request_of(operation, document)
            headers = {**options.pop("headers"), HEADER: uuid4().hex}
            send = API + path.format(**made)
            first = await client.request(method, send, headers=headers, **options)
            again = await client.request(method, send, headers=headers, **options)

            assert first.status_code < 500 or first.status_code == 501, f"{name}: {first.text}"
            if first.is_success and SECRET_FIELDS & set(first.json()):
                assert again.status_code == 409, f"{name}: {again.text}"
                assert again.json()["details"] == {"status": first.status_code}
            elif first.status_code not in NOT_KEPT:
                assert (again.status_code, again.content) == (first.status_code, first.content)
                assert again.headers[REPEATED] == "true", name
                kept |= {name} if first.is_success else set()
    assert len(kept) >= SUCCEEDING


def test_what_writes_heeds_keys_or_is_named_here():
    document = openapi_of()
    writing = {
        f"{method.upper()} {path.removeprefix(API)}"
        for path, operations in document["paths"].items()
        for method in operations
        if method in ("post", "put", "patch") and path.startswith(API)
    }
    not_served = {f"{method} {path}" for method, path in CALLS}

    assert writing - set(heeding(document)) - not_served == set(NOT_KEYED)


async def test_a_key_is_its_caller_s_and_its_organisation_s(plane: ControlPlane):
    keys = [key_of(plane), key_of(plane), key_of(plane, "globex")]
    ids = set()
    for key in keys:
        async with client_of(plane, key) as client:
            ids.add((await begin(client)).json()["id"])

    assert len(ids) == len(keys)


@pytest.mark.parametrize(
    ("path", "body"), [("/uploads", UPLOAD | {"name": "other"}), ("/models", {"name": "net"})]
)
async def test_another_request_under_the_same_key_is_refused(
    admin: httpx.AsyncClient, plane: ControlPlane, path: str, body: dict[str, Any]
):
    await begin(admin)

    other = await admin.post(API + path, json=body, headers={HEADER: "once"})

    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")
    assert "'once'" in other.json()["message"]
    assert len(uploads_of(plane)) == 1


async def test_another_query_is_another_request(admin: httpx.AsyncClient):
    first = await admin.post(f"{API}/uploads", json=UPLOAD, headers={HEADER: "once"})
    other = await admin.post(f"{API}/uploads?x=1", json=UPLOAD, headers={HEADER: "once"})

    assert (first.status_code, other.status_code) == (201, 422)


@pytest.mark.parametrize("key", ["", " ", "ü".encode(), "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(
    admin: httpx.AsyncClient, plane: ControlPlane, key: str | bytes
):
    answer = await admin.post(f"{API}/uploads", json=UPLOAD, headers={HEADER: key})

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert "Idempotency-Key" in answer.json()["message"]
    assert uploads_of(plane) == frozenset()


async def test_a_refusal_that_is_final_is_repeated(admin: httpx.AsyncClient):
    path = f"{API}/models/mod_later/versions"
    body, headers = {"version": "1.0.0"}, {HEADER: "once"}
    first = await admin.post(path, json=body, headers=headers)
    again = await admin.post(path, json=body, headers=headers)

    assert (first.status_code, again.status_code) == (404, 404)
    assert first.content == again.content
    assert again.headers[REPEATED] == "true"


async def test_what_is_refused_for_now_or_never_reached_the_call_may_succeed_later(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    weak = bearer(key_of(plane, "default", "models:read"))
    forbidden = await admin.post(
        f"{API}/uploads", json=UPLOAD, headers={**weak, HEADER: "once"}
    )  # fmt: skip
    invalid = await begin(admin, size_bytes=-1)
    valid = await begin(admin)

    assert [forbidden.status_code, invalid.status_code, valid.status_code] == [403, 400, 201]


REQUEST = KeyedRequest(
    organisation="default", key=RequestKey(caller="key:test", text="once"), digest=b"d" * 32
)


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [(ConflictError("there already"), True), (ServiceUnavailableError("full"), False)],
)
def test_what_a_refused_act_had_written_is_undone(
    plane: ControlPlane, error: ApiError, is_kept: bool
):
    key_of(plane)

    def act() -> Answer:
        with plane.store.system() as tx:
            tx.add_organisation(Organisation(id="new", name="new", created_at=plane.clock()))
        raise error

    def refusal(told: ApiError) -> Answer:
        return Answer(status=told.status, body=str(told).encode())

    try:
        outcome: object = plane.idempotency.answer(REQUEST, act, refusal)
    except ApiError as raised:
        outcome = raised

    assert outcome == (Answer(status=409, body=b"there already") if is_kept else error)
    with plane.store.system_snapshot() as tx:
        assert tx.organisation("new") is None
    with plane.store.snapshot("default") as tx:
        assert (tx.idempotency_keys.find(REQUEST.key) is not None) == is_kept


async def test_an_answer_with_a_secret_is_not_kept(admin: httpx.AsyncClient, plane: ControlPlane):
    body, headers = {"name": "ci", "scopes": ["devices:read"]}, {HEADER: "once"}
    before = len((await admin.get(f"{API}/keys")).json()["keys"])
    first = await admin.post(f"{API}/keys", json=body, headers=headers)
    again = await admin.post(f"{API}/keys", json=body, headers=headers)

    assert (first.status_code, again.status_code) == (201, 409)
    assert "secret" in again.json()["message"]
    assert len((await admin.get(f"{API}/keys")).json()["keys"]) == before + 1
    with plane.store.system() as tx:
        kept = tx._connection.exec_driver_sql("SELECT status, body FROM idempotency_keys").all()
    assert [tuple(row) for row in kept] == [(201, None)]


async def test_an_answer_that_is_too_large_is_not_kept(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    half = {"notes": "x" * (MAX_KEPT_BYTES // 2)}
    body = {"name": "net", "metadata": half, "data_contract": half}
    headers = {HEADER: "once"}
    first = await admin.post(f"{API}/models", json=body, headers=headers)
    again = await admin.post(f"{API}/models", json=body, headers=headers)

    assert (first.status_code, again.status_code) == (201, 409)


async def test_repetitions_at_the_same_time_wait_for_the_first(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    answers = await asyncio.gather(*(begin(admin) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert [REPEATED in answer.headers for answer in answers].count(False) == 1
    assert len(uploads_of(plane)) == 1


@pytest.fixture
def replicas(postgres: str, tmp_path: Path, clock: WallClock) -> Iterator[list[ControlPlane]]:
    """Two planes on one Postgres."""
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(postgres))
        yield [
            stack.enter_context(control_plane(tmp_path, clock, database_url=url)) for _ in range(2)
        ]


async def test_repetitions_at_two_replicas_are_carried_out_once(replicas: list[ControlPlane]):
    key = key_of(replicas[0])
    async with client_of(replicas[0], key) as one, client_of(replicas[1], key) as two:
        for number in range(10):
            calls = [begin(each, f"key-{number}") for each in (one, two) * 3]
            answers = await asyncio.gather(*calls)
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
            assert [REPEATED in answer.headers for answer in answers].count(False) == 1

    assert len(uploads_of(replicas[0])) == 10


async def test_a_rollout_begun_with_a_key_is_offered_once_it_is_committed(plane: ControlPlane):
    async with client_of(plane, key_of(plane)) as client:
        registration = {"device_identifier": "box-1"}
        device = await client.post(f"{API}/devices/register", json=registration)
        model = await made_model(client)
        await published(client, model, "1.0.0")
        body = {**AT_ONCE, "version": "1.0.0"}
        path = f"{API}/models/{model}/rollouts"
        begun = await client.post(path, json=body, headers={HEADER: "once"})
        plan = await client.get(f"{API}/devices/{device.json()['id']}/assignments")

    assert begun.status_code == 201, begun.text
    assert [each["version"] for each in plan.json()["assignments"]] == ["1.0.0"]
