"""Disks that are full or can only be read: refused, unchanged, still read, no restart needed."""

import asyncio
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from bench.crash_clients import Client, called, model_file
from sqlalchemy import text

from octomil.control.plane import ControlPlane
from support.control import API, bearer, client_of, control_plane, key_of, printed_key, upping
from support.disks import fill, read_only, small_disk
from support.postgres import fresh_database
from support.versions import made_model, ready_version
from support.waiting import PATIENCE_S, eventually

AT_ONCE = 40
DISK_MIB = 6
CONTENT = model_file(1)
HALF = len(CONTENT) // 2


def limit_pages(plane: ControlPlane, spare: int | None) -> None:
    """Let the database grow by so many pages only, which SQLite tells as a full disk."""
    with plane.store.system() as tx:
        pages = tx._connection.execute(text("PRAGMA page_count")).scalar_one()
        most = 2**30 if spare is None else pages + spare
        tx._connection.execute(text(f"PRAGMA max_page_count={most}"))


async def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(tmp_path: Path):
    with control_plane(tmp_path) as plane:
        async with client_of(plane, key_of(plane)) as client:

            async def register(number: int) -> tuple[int, str]:
                body = {"device_identifier": f"box-{number}", "metadata": {"x": "y" * 5000}}
                answer = await client.post(f"{API}/devices/register", json=body)
                assert answer.status_code in (200, 503), answer.text
                return number, answer.json()["id"] if answer.status_code == 200 else ""

            limit_pages(plane, 12)
            answers = await asyncio.gather(*(register(number) for number in range(AT_ONCE)))
            kept = {number: device for number, device in answers if device}
            for number, device in kept.items():
                shown = (await client.get(f"{API}/devices/{device}")).json()
                assert shown["device_identifier"] == f"box-{number}"
            limit_pages(plane, None)
            again = dict(await asyncio.gather(*(register(number) for number in range(AT_ONCE))))

        assert 0 < len(kept) < AT_ONCE
        assert {number: again[number] for number in kept} == kept
        with plane.store.snapshot("default") as tx:
            assert tx.audit.verify() == 1 + AT_ONCE


def set_read_only(plane: ControlPlane, value: bool) -> None:
    """Let the connections that write only read, or write again."""
    writer = plane.store._engines.writer
    driver = writer.raw_connection()
    cursor = driver.cursor()
    if writer.dialect.name == "sqlite":
        cursor.execute(f"PRAGMA query_only={value:d}")
    else:
        cursor.execute("SET default_transaction_read_only=off")
        driver.commit()
        name = writer.url.database
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only={value}')
        driver.commit()
    driver.close()
    if writer.dialect.name != "sqlite":
        writer.dispose()  # the connections that are made from now on have the setting


@pytest.fixture(params=["sqlite", "postgres"])
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlPlane]:
    with ExitStack() as stack:
        options = {}
        if request.param == "postgres":
            server = request.getfixturevalue("postgres")
            options["database_url"] = stack.enter_context(fresh_database(server))
        yield stack.enter_context(control_plane(tmp_path, **options))


async def test_a_database_that_can_only_be_read_refuses_and_needs_no_restart(plane: ControlPlane):
    async with client_of(plane, key_of(plane)) as client:
        model = await made_model(client)
        before = await ready_version(client, plane, model)
        path = f"{API}/models/{model}/versions/1.0.0"
        set_read_only(plane, True)
        refused = await client.post(f"{path}/publish", json={})
        seen = await client.get(path)
        set_read_only(plane, False)
        published = await client.post(f"{path}/publish", json={})

    assert (refused.status_code, refused.json()["error"]) == (503, "service_unavailable")
    assert re.search("can only be read|read-only transaction", refused.json()["message"])
    assert seen.json() == before
    assert published.json()["status"] == "published"


class Visitor:
    """Tries everything that writes, and everything that reads, on a server with a release."""

    def __init__(self, api: httpx.Client) -> None:
        self.api, self.client = api, Client(1)
        self.client.live(api)
        self.model = self.client.memory.model
        self.whole, self.half = self._begun(CONTENT), self._begun(CONTENT[:HALF])
        answer = self.send_form("2.0.0", CONTENT)
        assert answer.status_code == 201, answer.text

    def send_form(self, version: str, content: bytes) -> httpx.Response:
        path = f"{API}/models/{self.model}/versions/upload"
        return self.api.post(path, data={"version": version}, files={"file": ("m", content)})

    def append(self) -> httpx.Response:
        headers = {"upload-offset": str(HALF)}
        return self.api.patch(f"{API}/uploads/{self.half}", content=CONTENT[HALF:], headers=headers)

    def complete(self) -> httpx.Response:
        body = {"sha256": hashlib.sha256(CONTENT).hexdigest()}
        return self.api.post(f"{API}/uploads/{self.whole}/complete", json=body)

    def publish(self) -> httpx.Response:
        return self.api.post(f"{API}/models/{self.model}/versions/2.0.0/publish", json={})

    def register(self, name: str) -> httpx.Response:
        body = {"device_identifier": name, "metadata": {"x": "y" * 5000}}
        return self.api.post(f"{API}/devices/register", json=body)

    def seen(self) -> dict[str, object]:
        """What can be read: lists, files, polls, health."""
        device = next(iter(self.client.memory.devices.values()))
        for path in ("/health", "/metrics"):
            assert self.api.get(path).status_code == 200
        # A machine that is busy for longer than the database may take is not ready for a moment.
        eventually(lambda: self.api.get("/ready").status_code == 200)
        number, held = next(iter(self.client.memory.versions.items()))
        download = f"{API}/models/{self.model}/versions/{number}/download"
        assert self.api.get(download).content == held.content
        paths = ("/models", f"/models/{self.model}/versions", f"/models/{self.model}/aliases",
                 f"/uploads/{self.whole}", f"/uploads/{self.half}",
                 f"/devices/{device}/assignments")  # fmt: skip
        return {path: called(self.api, "GET", path) for path in paths}

    def _begun(self, content: bytes) -> str:
        upload = str(called(self.api, "POST", "/uploads", {"size_bytes": len(CONTENT)})["id"])
        headers = {"upload-offset": "0"}
        answer = self.api.patch(f"{API}/uploads/{upload}", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        return upload


def check_refused(answer: httpx.Response, why: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (503, "service_unavailable")
    assert why in answer.json()["message"]
    assert "try again" in answer.json()["message"]


def test_a_full_file_system_refuses_reads_on_and_goes_on_with_room(tmp_path: Path):
    with small_disk(tmp_path / "disk", DISK_MIB) as disk, upping(disk / "data") as served:
        headers = bearer(printed_key(served))
        with httpx.Client(base_url=served.url, headers=headers, timeout=120) as api:
            visitor = Visitor(api)
            ballast = fill(disk)
            registered = [visitor.register("box-0")]
            while registered[-1].status_code == 200:  # the log that is written to has some room
                registered.append(visitor.register(f"box-{len(registered)}"))
            before = visitor.seen()
            refused = [registered[-1], visitor.append(), visitor.complete(), visitor.publish(),
                       visitor.send_form("3.0.0", model_file(3))]  # fmt: skip
            after = visitor.seen()
            ballast.unlink()
            done = [visitor.register("box-x"), visitor.append(), visitor.complete(),
                    visitor.publish(), visitor.send_form("3.0.0", model_file(3))]  # fmt: skip
        assert served.stop() == 0

    for each in refused:
        check_refused(each, "the disk is full")
    assert after == before
    assert [each.status_code for each in done] == [200, 200, 200, 200, 201]


@pytest.mark.parametrize("part", ["uploads", "blobs"])
def test_files_that_can_only_be_read_are_read_on_and_need_no_restart(tmp_path: Path, part: str):
    with upping(tmp_path / "data") as served:
        headers = bearer(printed_key(served))
        with httpx.Client(base_url=served.url, headers=headers, timeout=120) as api:
            visitor = Visitor(api)
            # Once more the content that 2.0.0 has would change nothing, and be taken.
            new = model_file(3)
            with read_only(tmp_path / "data" / part):
                before = visitor.seen()
                refused = [visitor.send_form("3.0.0", new)]
                refused += [visitor.append()] if part == "uploads" else []
                after = visitor.seen()
                assert visitor.register("box-1").status_code == 200
            done = [visitor.send_form("3.0.0", new), visitor.append(), visitor.complete()]
        assert served.stop() == 0

    for each in refused:
        check_refused(each, "can only be read")
    assert after == before
    assert [each.status_code for each in done] == [201, 200, 200]


def complaint(folder: Path) -> str:
    """What `octomil up` says that does not start on a folder."""
    argv = [sys.executable, "-m", "octomil.cli.main", "up", "--data-dir", str(folder)]
    done = subprocess.run(
        [*argv, "--port", "0"], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_folder_that_can_only_be_read_is_said_at_the_start(tmp_path: Path):
    folder = tmp_path / "data"
    with upping(folder) as served:
        key = printed_key(served)
        assert served.stop() == 0

    with read_only(folder):
        said = complaint(folder)
    with read_only(folder / "uploads"):
        said_of_a_part = complaint(folder)
    with upping(folder) as served:
        assert served.get(f"{API}/devices", headers=bearer(key)).status_code == 200

    for each in (said, said_of_a_part):
        assert each.startswith(f"error: {folder} cannot be used: [Errno 30] Read-only file system")
        assert each.count("\n") == 1


def test_a_first_start_on_a_full_disk_is_said_and_succeeds_with_room(tmp_path: Path):
    with small_disk(tmp_path / "disk", DISK_MIB) as disk:
        ballast, folder = fill(disk), disk / "data"
        said = [complaint(folder), complaint(folder)]
        ballast.unlink()
        with upping(folder) as served:
            assert printed_key(served).startswith("edg_")

    for each in said:
        assert each.startswith(f"error: {folder} cannot be used: [Errno 28] No space left")
        assert each.count("\n") == 1
