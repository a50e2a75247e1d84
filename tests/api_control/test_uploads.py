"""`/uploads` over HTTP: files sent in several requests."""

import asyncio
import hashlib
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.records import Upload
from octomil.control.services import intake
from octomil.control.services.uploads import EXPIRES
from octomil.convert.files import inspect_in_sandbox
from octomil.convert.inspection import Inspection
from support import model_files as made
from support.control import API, WallClock, client_of, control_plane, key_of
from support.registry import appended, begun, completed, downloaded, new_model, uploaded
from support.waiting import PATIENCE_S, eventually

CONTENT = made.safetensors_file(w=[1.0, 2.0, 3.0])
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def upload_of(plane: ControlPlane, upload_id: str) -> Upload:
    with plane.store.snapshot("default") as tx:
        upload = tx.uploads.get(upload_id)
    assert upload is not None
    return upload


async def test_an_upload_grows_and_is_completed(admin: httpx.AsyncClient):
    upload = await begun(admin, len(CONTENT))
    first = await appended(admin, upload, 0, CONTENT[:10])
    head = await admin.head(f"{API}/uploads/{upload}")
    second = await appended(admin, upload, 10, CONTENT[10:])

    done = await completed(admin, upload, CONTENT)

    assert (first.json()["offset"], first.headers["upload-offset"]) == (10, "10")
    assert head.headers["upload-offset"] == "10"
    assert head.headers["upload-length"] == str(len(CONTENT))
    assert head.content == b""
    assert second.json()["offset"] == len(CONTENT)
    assert not second.json()["is_complete"]
    view = done.json()
    assert (view["is_complete"], view["sha256"]) == (True, DIGEST)
    assert view["storage_path"] == f"sha256:{DIGEST}"
    assert (await admin.get(f"{API}/uploads/{upload}")).json() == view


async def test_completing_again_changes_nothing(admin: httpx.AsyncClient):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)

    answers = [await completed(admin, upload, CONTENT) for _ in range(2)]
    other = await completed(admin, upload, b"other")
    more = await appended(admin, upload, len(CONTENT), b"")

    assert answers[0].status_code == 200
    assert answers[0].json() == answers[1].json()
    assert (other.status_code, more.status_code) == (409, 409)


@pytest.mark.parametrize("offset", [0, 4, 6, 100])
async def test_bytes_go_where_the_upload_stands_and_nowhere_else(
    admin: httpx.AsyncClient, offset: int
):
    upload = await begun(admin, 200)
    await appended(admin, upload, 0, b"01234")

    answer = await appended(admin, upload, offset, b"x")

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert answer.json()["details"] == {"offset": 5}
    assert (await admin.get(f"{API}/uploads/{upload}")).json()["offset"] == 5


async def test_an_upload_grows_no_larger_than_was_said(admin: httpx.AsyncClient):
    upload = await begun(admin, 4)

    answer = await appended(admin, upload, 0, b"01234")

    assert answer.status_code == 400
    assert (await admin.get(f"{API}/uploads/{upload}")).json()["offset"] == 0


async def test_an_upload_that_lacks_bytes_is_not_complete(admin: httpx.AsyncClient):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT[:-1])

    answer = await completed(admin, upload, CONTENT)

    assert answer.status_code == 409
    assert answer.json()["details"] == {"offset": len(CONTENT) - 1}


async def test_an_upload_whose_bytes_were_changed_begins_anew(admin: httpx.AsyncClient):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT[:-1] + b"?")

    answer = await completed(admin, upload, CONTENT)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert answer.json()["details"]["expected"] == DIGEST
    assert (await appended(admin, upload, 0, CONTENT)).status_code == 200
    assert (await completed(admin, upload, CONTENT)).status_code == 200


async def test_of_two_that_complete_an_upload_at_once_the_second_gets_what_the_first_made(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)
    loop, second = asyncio.get_running_loop(), []

    def look(*how: Any) -> Inspection:
        assert not second  # it waits, and then there is nothing to look through
        second.append(asyncio.run_coroutine_threadsafe(completed(admin, upload, CONTENT), loop))
        eventually(lambda: plane.uploads._turns.users(upload) == 2)
        return inspect_in_sandbox(*how)

    monkeypatch.setattr(intake, "inspect_in_sandbox", look)

    first = await completed(admin, upload, CONTENT)
    again = await asyncio.wrap_future(second[0])

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["storage_path"] == again.json()["storage_path"] == f"sha256:{DIGEST}"
    assert b"".join(plane.blobs.read(DIGEST)) == CONTENT


async def test_a_wrong_digest_takes_nothing_from_who_has_the_right_one(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)
    loop, second = asyncio.get_running_loop(), []

    def look(*how: Any) -> Inspection:
        wrong = completed(admin, upload, b"something else")
        second.append(asyncio.run_coroutine_threadsafe(wrong, loop))
        eventually(lambda: plane.uploads._turns.users(upload) == 2)
        return inspect_in_sandbox(*how)

    monkeypatch.setattr(intake, "inspect_in_sandbox", look)

    assert (await completed(admin, upload, CONTENT)).status_code == 200
    answer = await asyncio.wrap_future(second[0])

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "another SHA-256" in answer.json()["message"]
    assert b"".join(plane.blobs.read(DIGEST)) == CONTENT


async def test_an_upload_that_is_being_completed_takes_no_bytes_and_keeps_nobody_waiting(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)
    loop, answers = asyncio.get_running_loop(), []

    def look(*how: Any) -> Inspection:
        more = asyncio.run_coroutine_threadsafe(appended(admin, upload, 0, b""), loop)
        late = asyncio.run_coroutine_threadsafe(appended(admin, upload, 0, CONTENT), loop)
        answers.extend((more.result(PATIENCE_S), late.result(PATIENCE_S)))
        return inspect_in_sandbox(*how)

    monkeypatch.setattr(intake, "inspect_in_sandbox", look)

    assert (await completed(admin, upload, CONTENT)).status_code == 200
    assert [each.status_code for each in answers] == [409, 409]
    assert [each.json()["details"] for each in answers] == [{"offset": len(CONTENT)}] * 2


async def test_an_upload_given_up_while_it_is_looked_through_ends_as_given_up(
    admin: httpx.AsyncClient, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)

    def look(*how: Any) -> Inspection:
        with plane.store.transaction("default") as tx:
            assert tx.uploads.delete(upload)
        plane.uploads.drop(upload)
        return inspect_in_sandbox(*how)

    monkeypatch.setattr(intake, "inspect_in_sandbox", look)

    assert (await completed(admin, upload, CONTENT)).status_code == 404
    assert list((tmp_path / "uploads").glob("*.part")) == []


@pytest.fixture
def killed(tmp_path: Path) -> str:
    """An interpreter that somebody kills at once."""
    path = tmp_path / "killed"
    path.write_text("#!/bin/sh\nkill -9 $$\n")
    path.chmod(0o700)
    return str(path)


async def test_a_reader_that_was_killed_says_nothing_of_the_file(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, killed: str
):
    upload = await begun(admin, len(CONTENT))
    await appended(admin, upload, 0, CONTENT)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", killed)
        answer = await completed(admin, upload, CONTENT)

    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert (await admin.get(f"{API}/uploads/{upload}")).json()["offset"] == len(CONTENT)
    assert (await completed(admin, upload, CONTENT)).status_code == 200


async def test_a_converter_that_was_killed_says_nothing_of_the_file(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, killed: str
):
    content = made.torch_file(weight=[1.0])
    upload = await begun(admin, len(content))
    await appended(admin, upload, 0, content)

    with monkeypatch.context() as patch:

        def approve(_found: Inspection) -> None:
            """Looked through it is; what begins now is the conversion."""
            patch.setattr(sys, "executable", killed)

        patch.setattr(intake, "can_convert", approve)
        answer = await completed(admin, upload, content)

    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert "could not be converted" in answer.json()["message"]
    assert (await admin.get(f"{API}/uploads/{upload}")).json()["offset"] == len(content)
    assert (await completed(admin, upload, content)).status_code == 200


async def test_what_is_no_model_is_refused_at_the_end(admin: httpx.AsyncClient, tmp_path: Path):
    canary = tmp_path / "canary"
    content = made.torch_file(made.exploits(canary)["os.system"])
    upload = await begun(admin, len(content))
    await appended(admin, upload, 0, content)

    answer = await completed(admin, upload, content)

    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    assert not canary.exists()
    assert not (await admin.get(f"{API}/uploads/{upload}")).json()["is_complete"]


@pytest.mark.parametrize(
    "body",
    [{}, {"size_bytes": -1}, {"size_bytes": 2**41}, {"size_bytes": "x"},
     {"size_bytes": 1, "name": "a\u0000b"}, [1]],
)  # fmt: skip
async def test_what_begins_no_upload_is_refused(admin: httpx.AsyncClient, body: object):
    assert (await admin.post(f"{API}/uploads", json=body)).status_code == 400


@pytest.mark.parametrize("headers", [{}, {"upload-offset": "-1"}, {"upload-offset": "x"}])
async def test_bytes_without_a_place_are_refused(admin: httpx.AsyncClient, headers: dict):
    upload = await begun(admin, 5)

    answer = await admin.patch(f"{API}/uploads/{upload}", content=b"x", headers=headers)

    assert answer.status_code == 400


async def test_an_upload_given_up_is_gone(admin: httpx.AsyncClient, tmp_path: Path):
    upload = await begun(admin, 5)
    await appended(admin, upload, 0, b"01234")

    assert (await admin.delete(f"{API}/uploads/{upload}")).json() == {"deleted": True}

    assert (await admin.delete(f"{API}/uploads/{upload}")).status_code == 404
    assert (await appended(admin, upload, 5, b"")).status_code == 404
    assert list((tmp_path / "uploads").glob("*.part")) == []


async def test_anothers_upload_is_not_there(admin: httpx.AsyncClient, plane: ControlPlane):
    upload = await begun(admin, 5)
    async with client_of(plane, key_of(plane, "other")) as other:
        path = f"{API}/uploads/{upload}"
        answers = [
            await other.get(path),
            await other.head(path),
            await appended(other, upload, 0, b"01234"),
            await completed(other, upload, b"01234"),
            await other.delete(path),
        ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await admin.get(path)).json()["offset"] == 0


async def test_an_abandoned_upload_is_gone_and_its_bytes_with_it(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock, tmp_path: Path
):
    abandoned, used = await begun(admin, 5), await begun(admin, 5)
    await appended(admin, abandoned, 0, b"0123")
    clock.advance(seconds=EXPIRES.total_seconds() - 60)
    await appended(admin, used, 0, b"0123")
    clock.advance(seconds=60)

    assert (await admin.get(f"{API}/uploads/{abandoned}")).status_code == 404
    assert plane.garbage.collect().uploads == 1
    assert (await appended(admin, used, 4, b"4")).status_code == 200
    assert [path.stem for path in (tmp_path / "uploads").glob("*.part")] == [used]


async def test_an_upload_is_gone_on_with_after_a_restart(tmp_path: Path):
    with control_plane(tmp_path) as plane:
        key = key_of(plane)
        async with client_of(plane, key) as client:
            upload = await begun(client, len(CONTENT))
            await appended(client, upload, 0, CONTENT[:7])

    with control_plane(tmp_path) as plane:
        async with client_of(plane, key) as client:
            head = await client.head(f"{API}/uploads/{upload}")
            assert head.headers["upload-offset"] == "7"
            await appended(client, upload, 7, CONTENT[7:])
            assert (await completed(client, upload, CONTENT)).status_code == 200


async def test_an_upload_that_moved_before_a_crash_is_completed_after_it(
    admin: httpx.AsyncClient, plane: ControlPlane
):
    """The blob is there and the upload's row does not say so yet: what a kill leaves behind."""
    upload_id = await begun(admin, len(CONTENT))
    await appended(admin, upload_id, 0, CONTENT)
    plane.uploads.keep(upload_of(plane, upload_id), DIGEST)

    answer = await completed(admin, upload_id, CONTENT)

    assert answer.json()["storage_path"] == f"sha256:{DIGEST}"


async def test_the_disk_being_full_is_told_and_nothing_is_lost(
    admin: httpx.AsyncClient, small_files: None
):
    upload = await begun(admin, 1 << 20)
    first = await appended(admin, upload, 0, bytes(1 << 16))

    answer = await appended(admin, upload, 1 << 16, bytes(1 << 18))

    assert first.status_code == 200
    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert (await admin.head(f"{API}/uploads/{upload}")).headers["upload-offset"] == str(1 << 16)


async def test_garbage_is_collected_for_who_looks_after_the_installation(
    admin: httpx.AsyncClient, plane: ControlPlane, clock: WallClock
):
    model = await new_model(admin)
    kept, lost = await uploaded(admin, CONTENT), await uploaded(admin, made.onnx_file())
    await admin.post(
        f"{API}/models/{model}/versions", json={"version": "1.0.0", "storage_path": kept}
    )
    async with client_of(plane, key_of(plane, "default", "installation:admin")) as keeper:
        early = (await keeper.post(f"{API}/blobs/collect")).json()
        clock.advance(seconds=(EXPIRES + timedelta(hours=1)).total_seconds())
        late = (await keeper.post(f"{API}/blobs/collect")).json()
        refused = await keeper.post(f"{API}/blobs/collect", params={"grace_s": 0})

    assert early == {"removed": 0, "bytes": 0, "uploads": 0}
    assert late == {"removed": 1, "bytes": len(made.onnx_file()), "uploads": 2}
    assert refused.status_code == 400
    assert (await admin.post(f"{API}/blobs/collect")).status_code == 403
    assert list(plane.blobs.digests()) == [kept.removeprefix("sha256:")]
    assert (await downloaded(admin, model)).content == CONTENT
    assert plane.blobs.size(lost.removeprefix("sha256:")) is None
