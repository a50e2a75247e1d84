"""What the request queue costs a request, alone and among 256; the floor is asyncio's semaphore."""

import sys
from pathlib import Path

from bench.cpu import load_core, on_cores, usable_cores
from bench.peers import peer_python
from bench.programs import cpu_us
from bench.report import Budget, Row, compare

COVERS = ("octomil/batch.py",)

_PEER = "async-batcher==0.2.2"

_CROWD = """
import asyncio
CROWD = 256
async def crowd(calls, ask):
    for _ in range(max(1, calls // CROWD)):
        await asyncio.gather(*(ask() for _ in range(CROWD)))
async def alone(calls, ask):
    for _ in range(calls):
        await ask()
async def answer(request):
    return request
"""
_OURS = """
from octomil.batch import RequestQueue
async def main(calls):
    queue = RequestQueue(max_depth=1000, timeout=60.0, max_concurrency=SLOTS)
    queue.start()
    await LOAD(calls, lambda: queue.submit_generate(1, answer))
    await queue.stop()
"""
_FLOOR = """
async def main(calls):
    places = asyncio.Semaphore(SLOTS)
    async def ask():
        async with places:
            return await answer(1)
    await LOAD(calls, ask)
"""
_BATCHER = """
from async_batcher.batcher import AsyncBatcher
class One(AsyncBatcher):
    async def process_batch(self, batch):
        return batch
async def main(calls):
    batcher = One(max_batch_size=2, max_queue_time=0.0001)
    await LOAD(calls, lambda: batcher.process(1))
    batcher.stop(force=True)
"""
_ENDING = """
def run(calls):
    asyncio.run(main(calls))
"""


def run(quick: bool) -> list[Row]:
    """Measure alternately, each program in an interpreter of its own."""
    repeats, calls = (3, 5_120) if quick else (9, 51_200)
    crowd = Budget("ours", "at most", 10)
    alone = Budget("ours", "at most", 100)
    words = f"batches of two, its smallest; {_PEER}"
    with on_cores(load_core(usable_cores())):
        return [
            compare(
                "256 at once, one at a time",
                "µs",
                cpu_us(_programs("crowd", slots=1, has_peer=True), repeats, calls),
                budget=crowd,
                note=f"CPU per request; the peer has {words}",
            ),
            compare(
                "256 at once, 16 at a time",
                "µs",
                cpu_us(_programs("crowd", slots=16), repeats, calls),
                budget=crowd,
            ),
            compare(
                "a lone request",
                "µs",
                cpu_us(_programs("alone", slots=1, has_peer=True), repeats, calls // 16),
                budget=alone,
            ),
        ]


def _programs(load: str, *, slots: int, has_peer: bool = False) -> dict[str, tuple[Path, str]]:
    ours = Path(sys.executable)
    found = {"ours": (ours, _OURS), "floor": (ours, _FLOOR)}
    if has_peer:
        found["peer"] = (peer_python("batchers", _PEER), _BATCHER)
    return {
        key: (python, _CROWD + text.replace("SLOTS", str(slots)).replace("LOAD", load) + _ENDING)
        for key, (python, text) in found.items()
    }
