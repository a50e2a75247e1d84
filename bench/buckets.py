"""Who of a million devices is in a rollout: hashing their places once, and comparing them.

The floor of hashing is SHA-256 in a bare loop, that of comparing one numpy comparison.
"""

import time
from collections.abc import Callable
from hashlib import sha256

import numpy as np

from bench.cpu import load_core, on_cores, usable_cores
from bench.report import Budget, Row, compare
from octomil.rollouts.bucket_arrays import included, places_of
from octomil.rollouts.buckets import is_included

COVERS = ("octomil/rollouts/buckets.py", "octomil/rollouts/bucket_arrays.py")

_DEVICES = 1_000_000
_SHARE = 12.5


def run(quick: bool) -> list[Row]:
    """Measure alternately."""
    repeats, count = (3, 50_000) if quick else (9, _DEVICES)
    device_ids = [f"dev_{number:08d}" for number in range(count)]
    raw_ids = [device_id.encode() for device_id in device_ids]
    places = places_of("rol_bench", device_ids)
    limit = np.uint64(2**61)

    def bare_hashes() -> None:
        for raw in raw_ids:
            sha256(raw).digest()

    with on_cores(load_core(usable_cores())):
        hashing = _in_turns(
            repeats, ours=lambda: places_of("rol_bench", device_ids), floor=bare_hashes
        )
        comparing = _in_turns(
            repeats, ours=lambda: included(places, _SHARE), floor=lambda: places < limit
        )
        few = device_ids[: count // 10]
        single = _in_turns(repeats, ours=lambda: [is_included("r", each, _SHARE) for each in few])
    per_device = {key: [1e3 * ms / len(few) for ms in found] for key, found in single.items()}
    return [
        compare(f"places of {count:,} devices", "ms", hashing, note="once a rollout"),
        compare(
            f"membership of {count:,} devices", "ms", comparing, budget=Budget("ours", "at most", 5)
        ),
        compare("membership of one device, from its id", "µs", per_device),
    ]


def _in_turns(repeats: int, **works: Callable[[], object]) -> dict[str, list[float]]:
    """CPU milliseconds of each, turn by turn."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.process_time()
            work()
            found[name].append(1e3 * (time.process_time() - began))
    return found
