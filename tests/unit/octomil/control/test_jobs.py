import asyncio
import logging
from contextlib import suppress

import pytest

from octomil.control.jobs.catalog import write_last_seen
from octomil.control.jobs.timers import running
from octomil.errors import ServiceUnavailableError
from support.control import control_plane, key_of


async def test_a_job_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture):
    runs = asyncio.Queue()

    async def job() -> None:
        await runs.put(None)
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        async with running({"divide": (0.001, job)}), asyncio.timeout(30):
            await runs.get()
            await runs.get()

    assert "divide" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_job_that_loses_its_cancellation_ends_with_the_rest():
    begun = asyncio.Event()

    async def job() -> None:
        begun.set()
        with suppress(asyncio.CancelledError):  # as one that is just connecting may do
            await asyncio.Event().wait()

    async with asyncio.timeout(60):
        async with running({"deaf": (0.001, job)}):
            await begun.wait()


async def test_sightings_that_cannot_be_written_wait_for_the_next_time(tmp_path, monkeypatch):
    with control_plane(tmp_path) as plane:
        key_of(plane)
        plane.last_seen.note("dev_1")
        with monkeypatch.context() as patch:
            patch.setattr(plane.store, "_engines", None)
            with pytest.raises(AttributeError):
                await write_last_seen(plane)
        plane.last_seen.note("dev_2")
        assert len(plane.last_seen) == 2

        await write_last_seen(plane)

        assert len(plane.last_seen) == 0


async def test_a_full_line_keeps_sightings_too(tmp_path, monkeypatch):
    with control_plane(tmp_path) as plane:
        plane.last_seen.note("dev_1")
        monkeypatch.setitem(plane.threads._most, "write", 0)

        with pytest.raises(ServiceUnavailableError):
            await write_last_seen(plane)

        assert len(plane.last_seen) == 1
