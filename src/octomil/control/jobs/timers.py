"""Doing something again and again, without ever giving up on it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

_log = logging.getLogger("octomil.control")

Job = Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(jobs: Mapping[str, tuple[float, Job]]) -> AsyncGenerator[None]:
    """Run jobs until the block ends.

    Args:
        jobs: by name, the seconds between two runs, and what to do.
    """
    ended = asyncio.Event()
    tasks = [
        asyncio.create_task(_repeat(name, every_s, job, ended), name=name)
        for name, (every_s, job) in jobs.items()
    ]
    try:
        yield
    finally:
        ended.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(name: str, every_s: float, job: Job, ended: asyncio.Event) -> None:
    while not ended.is_set():  # a connection that is just made can swallow the cancellation
        await asyncio.sleep(every_s)
        try:
            await job()
        except Exception:  # noqa: BLE001 - logged, and the next run may do better
            _log.exception("the job %r failed; it is tried again in %g s", name, every_s)
