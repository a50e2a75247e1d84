"""Polls that wait for news, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from octomil.control.api import polls, requests
from octomil.control.gcra import RateLimit
from octomil.control.plane import ControlPlane
from octomil.control.services.rate_limits import Limits
from support.control import API, client_of, control_plane, key_of
from support.prometheus import read_metrics
from support.registry import new_model
from support.rollouts import Who, act, assigned, begun, device, published

NO_NEWS = {
    "updated": False, "config_version": 0, "assignments_changed": False,
    "rollouts_changed": False, "assignments": [], "held": [],
}  # fmt: skip


async def poll(
    client: httpx.AsyncClient, who: Who, known: int | None = None, wait_s: object = "60"
) -> httpx.Response:
    query = {} if known is None else {"config_version": str(known)}
    path = f"{API}/devices/{who[0]}/assignments"
    return await client.get(path, params=query | {"wait_s": str(wait_s)}, headers=who[1])


@asynccontextmanager
async def held(
    plane: ControlPlane, client: httpx.AsyncClient, who: Who, known: int | None = None
) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """A poll that is being held."""
    number = len(plane.long_polls)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(poll(client, who, known))
        while len(plane.long_polls) == number:
            assert not task.done(), task.result().text
            await asyncio.sleep(0)
        yield task


async def test_without_news_it_is_answered_when_the_wait_is_over(admin: httpx.AsyncClient):
    answer = await poll(admin, await device(admin), wait_s="0.01")

    assert (answer.status_code, answer.json()) == (200, NO_NEWS)


async def test_news_is_told_at_once(admin: httpx.AsyncClient, plane: ControlPlane):
    model_id = await new_model(admin)
    await published(admin, model_id, "1.0.0")
    rollout = await begun(admin, model_id)
    who = await device(admin)
    plain = await assigned(admin, who)

    answer = (await poll(admin, who)).json()

    assert answer == plain
    assert [each["digest"] for each in answer["assignments"]] == [rollout["digest"]]


async def test_a_rollout_ends_the_wait(admin: httpx.AsyncClient, plane: ControlPlane):
    model_id = await new_model(admin)
    await published(admin, model_id, "1.0.0")
    who = await device(admin)

    async with held(plane, admin, who) as waiting:
        rollout = await begun(admin, model_id)
        first = (await waiting).json()

    async with held(plane, admin, who, first["config_version"]) as waiting:
        assert (await act(admin, rollout, "pause", reason="look")).status_code == 200
        second = (await waiting).json()

    assert [each["version"] for each in first["assignments"]] == ["1.0.0"]
    assert (second["updated"], second["assignments"]) == (True, [])
    assert second["config_version"] > first["config_version"]


async def test_a_rollout_of_another_organisation_ends_no_wait(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    who = await device(admin)
    async with client_of(plane, key_of(plane, "globex")) as stranger:
        model_id = await new_model(stranger)
        await published(stranger, model_id, "1.0.0")
        theirs = await device(stranger)
        async with held(plane, admin, who) as waiting, held(plane, stranger, theirs) as other:
            await begun(stranger, model_id)
            assert (await other).json()["updated"]
            assert not waiting.done()
            plane.long_polls.close()
            assert (await waiting).json() == NO_NEWS


async def test_a_held_poll_touches_no_database(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    who = await device(admin)
    monkeypatch.setattr(plane.store, "_engines", None)  # whoever asks it now fails

    async with held(plane, admin, who) as waiting:
        assert plane.threads.waiting() == dict.fromkeys(plane.threads.waiting(), 0)
        plane.long_polls.close()
        assert (await waiting).status_code == 200


@pytest.mark.parametrize("wait_s", ["61", "60.001", "-1", "x", "", "nan", "inf", "9" * 400])
async def test_a_wait_that_is_none_is_refused_by_name(admin: httpx.AsyncClient, wait_s: str):
    identifier, token = await device(admin)

    for headers in ({}, token):
        answer = await poll(admin, (identifier, headers), wait_s=wait_s)
        assert answer.status_code == 400
        assert answer.json()["details"]["fields"][0]["field"] == "wait_s"


@pytest.mark.parametrize("wait_s", ["0", "0.0", "00"])
async def test_no_wait_is_a_plain_poll(admin: httpx.AsyncClient, wait_s: str):
    answer = await poll(admin, await device(admin), wait_s=wait_s)

    assert answer.json() == NO_NEWS


async def test_a_key_is_answered_at_once(admin: httpx.AsyncClient):
    identifier, _ = await device(admin)

    answer = await poll(admin, (identifier, {}), wait_s="60")

    assert answer.json() == NO_NEWS


async def test_what_was_revoked_meanwhile_is_told_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    model_id = await new_model(admin)
    await published(admin, model_id, "1.0.0")
    who = await device(admin)

    async with held(plane, admin, who) as waiting:
        assert (await admin.post(f"{API}/devices/{who[0]}/revoke")).status_code == 200
        await begun(admin, model_id)
        answer = await waiting

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


async def test_a_held_poll_counts_once_and_is_shown(tmp_path: Path):
    with control_plane(tmp_path, limits=Limits(device=RateLimit(2, 3600))) as plane:
        async with client_of(plane, key_of(plane)) as client:
            who = await device(client)
            async with held(plane, client, who) as waiting:
                text = (await client.get("/metrics")).text
                plane.long_polls.close()
                answer = await waiting
            later = [(await poll(client, who)).status_code for _ in range(2)]

    assert read_metrics(text)["octomil:control_polls_held"].value() == 1
    assert answer.headers["ratelimit-remaining"] == "1"
    assert later == [200, 429]


async def test_beyond_the_bound_polls_are_answered_at_once_and_counted(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(plane.long_polls, "_most", 1)
    first, second = await device(admin), await device(admin, "box-2")

    async with held(plane, admin, first) as waiting:
        answer = await poll(admin, second)
        metrics = read_metrics((await admin.get("/metrics")).text)
        assert not waiting.done()
        plane.long_polls.close()

    assert answer.json() == NO_NEWS
    assert metrics["octomil:control_polls_not_held_total"].value() == 1


async def test_the_wait_is_no_part_of_the_latency(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    now_s, seen = 5.0, []
    for module in (polls, requests):
        monkeypatch.setattr(module, "perf_counter", lambda: now_s)
    monkeypatch.setattr(plane.metrics, "request", lambda _, *counted: seen.append(counted))
    who = await device(admin)
    async with held(plane, admin, who):
        now_s = 35.0
        plane.long_polls.close()

    assert seen[-1] == ("/devices/{device_id}/assignments", 200, 0.0)
