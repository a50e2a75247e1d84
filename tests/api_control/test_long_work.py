"""What takes minutes: it keeps nobody waiting, and the end of the server does not wait for it."""

import asyncio
import os
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.intake import Intake
from octomil.control.threads import WORKERS
from support.control import API, client_of, control_plane, key_of
from support.model_files import safetensors_file, torch_file
from support.processes import below
from support.registry import appended, begun, completed, downloaded, new_model, sent
from support.waiting import eventually

HANGS_S = 120.0
ENDLESS = torch_file(b"\x80\x02" + b"}0" * 8_000_000 + b"}.")
"""Looked through in more than a minute: it makes and drops a dictionary, again and again."""


async def test_downloads_and_uploads_go_on_beside_files_that_are_looked_through(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    model, content = await new_model(admin), safetensors_file(w=[1.0])
    await sent(admin, model, content)
    uploads = [await uploaded_whole(admin, content) for _ in range(WORKERS)]
    go_on, keep = threading.Event(), Intake.keep

    def kept_later(self, *args, **kwargs):
        assert go_on.wait(HANGS_S)
        return keep(self, *args, **kwargs)

    monkeypatch.setattr(Intake, "keep", kept_later)
    completing = [asyncio.create_task(completed(admin, each, content)) for each in uploads]
    try:
        async with asyncio.timeout(HANGS_S):
            assert (await downloaded(admin, model)).content == content
            assert await uploaded_whole(admin, content)
    finally:
        go_on.set()
        answers = await asyncio.gather(*completing)

    assert [each.status_code for each in answers] == [200] * WORKERS


async def test_one_organisation_s_files_keep_no_other_s_waiting(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    content = safetensors_file(w=[1.0])
    uploads = {await uploaded_whole(admin, content) for _ in range(WORKERS + 1)}
    go_on, keep = threading.Event(), Intake.keep

    def kept_later(self, upload_id, **how):
        assert upload_id not in uploads or go_on.wait(HANGS_S)
        return keep(self, upload_id, **how)

    monkeypatch.setattr(Intake, "keep", kept_later)
    completing = [asyncio.create_task(completed(admin, each, content)) for each in uploads]
    try:
        async with asyncio.timeout(HANGS_S), client_of(plane, key_of(plane, "other")) as other:
            while plane.threads.waiting()["work"] < len(uploads):
                await asyncio.sleep(0.01)
            upload = await uploaded_whole(other, content)
            assert (await completed(other, upload, content)).status_code == 200
    finally:
        go_on.set()
        answers = await asyncio.gather(*completing)

    assert [each.status_code for each in answers] == [200] * len(uploads)


async def test_one_upload_that_is_completed_again_and_again_takes_one_thread(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    content = safetensors_file(w=[1.0])
    first, other = [await uploaded_whole(admin, content) for _ in range(2)]
    go_on, keep = threading.Event(), Intake.keep

    def kept_later(self, upload_id, **how):
        assert upload_id == other or go_on.wait(HANGS_S)
        return keep(self, upload_id, **how)

    monkeypatch.setattr(Intake, "keep", kept_later)
    completing = [asyncio.create_task(completed(admin, first, content)) for _ in range(WORKERS + 1)]
    try:
        async with asyncio.timeout(HANGS_S):
            while plane.uploads._turns.users(first) < WORKERS:
                await asyncio.sleep(0.01)
            assert (await completed(admin, other, content)).status_code == 200
    finally:
        go_on.set()
        answers = await asyncio.gather(*completing)

    assert [each.status_code for each in answers] == [200] * (WORKERS + 1)


async def test_the_end_gives_up_what_is_looked_through_and_keeps_the_upload(tmp_path: Path):
    with control_plane(tmp_path) as plane:
        key = key_of(plane)
        async with client_of(plane, key) as client:
            upload = await uploaded_whole(client, ENDLESS)
            completing = asyncio.create_task(completed(client, upload, ENDLESS))
            await asyncio.to_thread(eventually, readers)
            await asyncio.to_thread(plane.close)
            answer = await completing

    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert readers() == []
    with control_plane(tmp_path) as plane:
        async with client_of(plane, key) as client:
            view = (await client.get(f"{API}/uploads/{upload}")).json()
    assert (view["offset"], view["is_complete"]) == (len(ENDLESS), False)


async def test_the_end_begins_nothing_that_waits(plane: ControlPlane):
    go_on, begun_at_all = threading.Event(), threading.Event()
    under_way = [
        asyncio.ensure_future(plane.threads.work(str(n), go_on.wait, 120)) for n in range(WORKERS)
    ]
    waiting = asyncio.ensure_future(plane.threads.work("last", begun_at_all.set))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(plane.threads.close))

    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await closing

    assert await asyncio.gather(*under_way) == [True] * WORKERS
    assert not begun_at_all.is_set()


async def uploaded_whole(client: httpx.AsyncClient, content: bytes) -> str:
    """Send a file, and leave it at that; return the upload's id."""
    upload = await begun(client, len(content))
    await appended(client, upload, 0, content)
    return upload


def readers() -> list[psutil.Process]:
    """Who looks through files for this process."""
    return below(os.getpid(), "octomil.convert.inspect_child")
