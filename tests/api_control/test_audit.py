"""`/audit` over HTTP: what was done, and whether the record of it is whole."""

import asyncio
import time

import httpx
import pytest
from sqlalchemy import text

from octomil.control.plane import ControlPlane
from octomil.control.services.audit import MAX_AUDITS_OF_ONE
from octomil.control.services.callers import Caller
from octomil.wire.audit import AuditVerdict
from support.control import API, client_of, key_of
from support.waiting import PATIENCE_S


async def registered(client: httpx.AsyncClient, number: int) -> None:
    for n in range(number):
        await client.post(f"{API}/devices/register", json={"device_identifier": f"box-{n}"})


async def test_what_was_done_is_listed_the_latest_first(admin: httpx.AsyncClient):
    await registered(admin, 1)

    page = (await admin.get(f"{API}/audit")).json()

    assert [entry["operation"] for entry in page["entries"]] == [
        "device.register",
        "api_key.create",
    ]
    latest = page["entries"][0]
    assert (latest["sequence"], latest["at"]) == (2, "2026-11-21T12:00:00.000000+00:00")
    assert latest["actor"].startswith("key:key_")
    assert latest["details"] == {"identifier": "box-0"}
    assert len(latest["digest"]) == 64
    assert page["next_cursor"] is None


async def test_pages_hold_each_act_once_while_others_are_added(admin: httpx.AsyncClient):
    await registered(admin, 6)
    found, cursor = [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get(f"{API}/audit", params=query)).json()
        found += [entry["sequence"] for entry in page["entries"]]
        await admin.post(f"{API}/keys", json={"name": "x", "scopes": ["devices:read"]})
        if (cursor := page["next_cursor"]) is None:
            break

    assert found == [7, 6, 5, 4, 3, 2, 1]


async def test_a_cursor_of_another_list_is_refused(admin: httpx.AsyncClient):
    await registered(admin, 2)
    cursor = (await admin.get(f"{API}/devices", params={"limit": 1})).json()["next_cursor"]

    for wrong in (cursor, "x", "WyJhdWRpdCIsLTFd", "é"):
        answer = await admin.get(f"{API}/audit", params={"cursor": wrong})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_request"), wrong


async def test_a_row_that_somebody_edited_is_named(admin: httpx.AsyncClient, plane: ControlPlane):
    await registered(admin, 3)
    whole = (await admin.get(f"{API}/audit/verify")).json()
    with plane.store.system() as tx:
        tx._connection.execute(text("UPDATE audit SET entry = '{}' WHERE sequence = 3"))

    broken = (await admin.get(f"{API}/audit/verify")).json()

    assert whole == {"ok": True, "records": 4, "problem": None}
    assert (broken["ok"], broken["records"]) == (False, None)
    assert "record 3 " in broken["problem"]
    assert (await admin.get(f"{API}/audit")).status_code == 200


async def test_each_organisation_sees_its_own(admin: httpx.AsyncClient, plane: ControlPlane):
    await registered(admin, 2)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        page = (await stranger.get(f"{API}/audit")).json()
        verdict = (await stranger.get(f"{API}/audit/verify")).json()

    assert [entry["operation"] for entry in page["entries"]] == ["api_key.create"]
    assert verdict["records"] == 1


async def test_audits_are_walked_through_one_at_a_time(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    """So many at once would keep all threads that read from everybody else."""
    verify, at_it, most = plane.audit.verify, 0, 0

    def watched(caller: Caller) -> AuditVerdict:
        nonlocal at_it, most
        at_it += 1
        most = max(most, at_it)
        time.sleep(0.02)  # long enough for others to come in, were they let
        try:
            return verify(caller)
        finally:
            at_it -= 1

    monkeypatch.setattr(plane.audit, "verify", watched)
    many = MAX_AUDITS_OF_ONE
    answers = await asyncio.gather(*[admin.get(f"{API}/audit/verify") for _ in range(many)])

    assert ([each.status_code for each in answers], most) == ([200] * many, 1)


async def test_few_checks_of_one_audit_wait_and_more_are_refused(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    caller = Caller("default", "key:key_1", ("*",))

    async def wait() -> None:
        async with plane.audit.turn(caller):
            pass

    async with asyncio.timeout(PATIENCE_S), plane.audit.turn(caller):
        waiting = [asyncio.ensure_future(wait()) for _ in range(MAX_AUDITS_OF_ONE - 1)]
        await asyncio.sleep(0)
        refused = await admin.get(f"{API}/audit/verify")
    await asyncio.gather(*waiting)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "10"
    assert (await admin.get(f"{API}/audit/verify")).json()["ok"]
