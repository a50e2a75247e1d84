"""What is everybody's: health, metrics, ids, errors, other origins."""

from pathlib import Path

import httpx
import pytest

from octomil.control.api import operations as module
from octomil.control.api.operations import READY_S
from octomil.control.plane import ControlPlane
from octomil.errors import (
    API_ERRORS,
    API_STATUSES,
    IdempotencyKeyReusedError,
    UnprocessableError,
)
from support.control import API, bearer, client_of, control_plane, key_of
from support.postgres import fresh_database
from support.prometheus import read_metrics
from support.stopped import closed_database, stopped_postgres
from support.waiting import PATIENCE_S


async def test_the_process_tells_that_it_answers(
    anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "READY_S", PATIENCE_S)
    assert (await anybody.get("/health")).json()["status"] == "ok"
    assert (await anybody.get("/ready")).json() == {"ready": True}


async def test_a_client_can_try_its_key(anybody: httpx.AsyncClient, plane: ControlPlane):
    path = f"{API}/health"

    assert (await anybody.get(path)).status_code == 200
    assert (await anybody.get(path, headers=bearer(key_of(plane)))).status_code == 200
    assert (await anybody.get(path, headers=bearer("edg_wrong"))).status_code == 401


async def test_without_its_database_it_is_not_ready(anybody: httpx.AsyncClient, plane, tmp_path):
    plane.store.close()
    (tmp_path / "octomil.sqlite3").unlink()
    (tmp_path / "octomil.sqlite3").mkdir()

    answer = await anybody.get("/ready")

    assert answer.status_code == 503
    assert "database" in answer.json()["reason"]
    assert (await anybody.get("/health")).status_code == 200


async def test_beside_a_database_that_hangs_it_is_not_ready(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with (
        fresh_database(postgres) as url,
        control_plane(tmp_path, database_url=url) as plane,
    ):
        async with client_of(plane) as client:
            with monkeypatch.context() as patch:
                patch.setattr(module, "READY_S", PATIENCE_S)
                assert (await client.get("/ready")).status_code == 200
            with stopped_postgres(url):
                answers = [await client.get("/ready") for _ in range(2)]
                looks = plane.threads.waiting()["read"]

    assert looks == 1
    answer = answers[1]
    assert [each.status_code for each in answers] == [503, 503]
    assert answer.json() == {
        "ready": False,
        "reason": f"the database did not answer within {READY_S:g} s",
    }


async def test_the_log_knows_why_the_database_cannot_be_used_and_clients_do_not(
    postgres: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "READY_S", PATIENCE_S)
    with (
        fresh_database(postgres) as url,
        control_plane(tmp_path, database_url=url) as plane,
    ):
        async with client_of(plane, key_of(plane)) as client:
            with closed_database(url) as name:
                refused = await client.get(f"{API}/models", headers={"x-request-id": "mine"})
                ready = await client.get("/ready")

    assert (refused.status_code, ready.status_code) == (503, 503)
    assert name not in refused.text + ready.text
    assert [name in line and "mine" in line for line in caplog.messages] == [True, False]
    assert name in caplog.messages[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", f"{API}/nowhere", 404, "not_found"),
        ("GET", f"{API}/devices/dev_1/", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", f"{API}/devices/register/assignments/x", 404, "not_found"),
    ],
)
async def test_errors_have_one_form(anybody, method: str, path: str, status: int, code: str):
    answer = await anybody.request(method, path, headers={"x-request-id": "mine"})

    body = answer.json()
    assert (answer.status_code, body["error"], body["status_code"]) == (status, code, status)
    assert set(body) == {"error", "message", "status_code", "request_id", "details"}
    assert body["request_id"] == answer.headers["x-request-id"] == "mine"
    assert path in body["message"]


async def test_a_method_that_is_not_taken_is_told_which_are(anybody: httpx.AsyncClient):
    answer = await anybody.put(f"{API}/devices/dev_1")

    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")


async def test_every_answer_says_how_to_treat_it(admin: httpx.AsyncClient):
    answers = [
        await admin.get("/health"),
        await admin.get(f"{API}/devices"),
        await admin.get(f"{API}/nowhere"),
        await admin.post(f"{API}/keys", content=b"x" * (2**20 + 1)),
    ]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "strict-transport-security" not in answer.headers  # it came over plain HTTP


async def test_over_tls_clients_are_told_to_stay_there(plane: ControlPlane):
    async with client_of(plane) as client:
        answer = await client.get("https://control/health")

    assert answer.headers["strict-transport-security"].startswith("max-age=")


async def test_a_fault_of_ours_tells_the_client_nothing_but_whom_to_ask(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    key = key_of(plane)
    monkeypatch.setattr(plane.devices, "get", fail)
    async with client_of(plane, key) as client:
        client._transport.raise_app_exceptions = False
        answer = await client.get(f"{API}/devices/dev_1")

    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_every_code_has_its_class_and_every_status_its_most_general_code():
    shared = {kind for kind in API_ERRORS.values() if API_STATUSES[kind.status] is not kind}

    assert shared == {IdempotencyKeyReusedError}
    assert API_STATUSES[422] is UnprocessableError
    assert {"bad_request": 400, "unauthorized": 401, "not_found": 404, "conflict": 409,
            "rate_limited": 429, "internal_error": 500}.items() <= {
        code: kind.status for code, kind in API_ERRORS.items()
    }.items()  # fmt: skip


async def test_requests_are_counted_by_route(admin: httpx.AsyncClient):
    body = {"device_identifier": "x"}
    tokens = (await admin.post(f"{API}/device-auth/bootstrap", json=body)).json()
    path = f"{API}/devices/{tokens['device_id']}/assignments"
    await admin.get(path)
    await admin.get(path, headers=bearer(tokens["access_token"]))
    await admin.get(f"{API}/nowhere/{tokens['device_id']}")
    await admin.get(path, headers=bearer("edg_wrong"))

    text = (await admin.get("/metrics")).text

    metrics = read_metrics(text)
    count = metrics["octomil:control_requests_total"]
    poll = {"method": "GET", "route": "/devices/{device_id}/assignments"}
    assert count.value(**poll, status="200") == 2
    assert count.value(**poll, status="401") == 1
    assert count.value(method="GET", route="none", status="404") == 1
    assert metrics["octomil:control_refused_credentials_total"].value() == 1
    assert tokens["device_id"] not in text


async def test_pages_of_other_origins_may_not_call_unless_told_so(plane: ControlPlane):
    preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
    for origins, allowed in (((), None), (("https://a.example",), "https://a.example")):
        async with client_of(plane, cors_origins=origins) as client:
            answer = await client.options(f"{API}/devices/x", headers=preflight)
        assert answer.headers.get("access-control-allow-origin") == allowed


async def test_the_document_names_every_route_and_its_errors(anybody: httpx.AsyncClient):
    document = (await anybody.get(f"{API}/openapi.json")).json()

    assert f"{API}/devices/register" in document["paths"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "default" in operation["responses"], path
            assert "422" not in operation["responses"], path
