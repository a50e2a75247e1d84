"""What it costs to decide where a model runs for a device; the floor calls an empty function."""

import sys
from pathlib import Path

from bench.cpu import load_core, on_cores, usable_cores
from bench.programs import cpu_us
from bench.report import Budget, Row, compare

COVERS = ("octomil/placement",)

_OURS = """
from octomil.placement.decision import Preference, place
from octomil.placement.devices import Device, Model
PREFERENCES = tuple(Preference)
def run(calls):
    for call in range(calls):
        device = Device(platform="ios", total_memory_mb=2048 + call % 8192, npu_available=True)
        place(Model(500_000_000, 250 + call % 4000), device, PREFERENCES[call % 4]).reason
"""
_FLOOR = """
def nothing(call):
    pass
def run(calls):
    for call in range(calls):
        nothing(call)
"""


def run(quick: bool) -> list[Row]:
    """Measure alternately, each program in an interpreter of its own."""
    repeats, calls = (3, 2_000) if quick else (11, 50_000)
    ours = Path(sys.executable)
    with on_cores(load_core(usable_cores())):
        found = cpu_us({"ours": (ours, _OURS), "floor": (ours, _FLOOR)}, repeats, calls)
    note = "from the fields of a request to the words of the reason"
    budget = Budget("ours", "at most", 50)
    return [compare("where a model runs", "µs", found, budget=budget, note=note)]
