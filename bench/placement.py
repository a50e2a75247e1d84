"""What it costs to decide where a model runs for a device; the floor calls an empty function.

Once the decision alone, and once all that the control plane does from a request to its answer but
to read the one and to write the other: speeds are remembered, or looked up every five seconds in
an empty database, and the decision is counted.
"""

import sys
from pathlib import Path

from bench.cpu import load_core, on_cores, usable_cores
from bench.programs import cpu_us
from bench.report import Budget, Row, compare

COVERS = (
    *("octomil/placement", "octomil/control/identifiers.py", "octomil/wire/placement.py"),
    *("octomil/control/services/placement.py", "octomil/control/services/route_counts.py"),
    "octomil/control/services/speeds.py",
)

_OURS = """
from octomil.placement.decision import Preference, place
from octomil.placement.devices import Device, Model
PREFERENCES = tuple(Preference)
def run(calls):
    for call in range(calls):
        device = Device(platform="ios", total_memory_mb=2048 + call % 8192, npu_available=True)
        place(Model(500_000_000, 250 + call % 4000), device, PREFERENCES[call % 4]).reason
"""
_SERVICE = """
import tempfile
from pathlib import Path
from octomil.compose_control import assemble
from octomil.control.services.callers import Caller
from octomil.control.services.placement import speed_query
from octomil.placement.decision import Preference
from octomil.wire.placement import DeviceCapabilities, RouteRequest
PREFERENCES = tuple(Preference)
KEPT = tempfile.TemporaryDirectory()
FOLDER = Path(KEPT.name)
PLANE = assemble(
    database_url=f"sqlite:///{FOLDER}/octomil.sqlite3",
    blob_url=(FOLDER / "blobs").as_uri(),
    uploads=FOLDER / "uploads",
)
CALLER = Caller("default", "key:1", ("*",))
REQUESTS = [
    RouteRequest(
        model_id=f"model-{number % 20}",
        model_params=500_000_000,
        model_size_mb=250 + number,
        device_capabilities=DeviceCapabilities(
            platform="ios", total_memory_mb=2048 + 97 * number, npu_available=True
        ),
        prefer=PREFERENCES[number % 4].value,
    )
    for number in range(100)
]
def run(calls):
    for call in range(calls):
        request = REQUESTS[call % 100]
        query = speed_query(CALLER, request)
        measured = PLANE.speeds.remembered(query)
        if measured is None:
            measured = PLANE.speeds.look_up(query)
        PLANE.placement.decide(CALLER, request, measured)
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
        service = cpu_us({"ours": (ours, _SERVICE), "floor": (ours, _FLOOR)}, repeats, calls)
    budget = Budget("ours", "at most", 50)
    note = "from the fields of a request to the words of the reason"
    whole = "from a request to its answer, neither read nor written: speeds, decision, count, id"
    return [
        compare("where a model runs", "µs", found, budget=budget, note=note),
        compare("the same in the control plane", "µs", service, budget=budget, note=whole),
    ]
