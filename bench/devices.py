"""A million devices listed, filtered and added to: every page costs what the first one does.

The floor is a bare Starlette application that answers with the bytes of a page of the same length,
on the same server. Run it as ``python -m bench.devices PORT FILE``.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode

import httpx
import uvicorn
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.cpu import load_core, on_cores, server_core, usable_cores
from bench.load import Load, drive, http_request
from bench.process import BenchError, Server, free_port, octomil_program, serving, wait_for_200
from bench.report import Budget, Row, compare
from octomil.compose_control import DEFAULT_ORGANISATION, build_plane, first_admin_key
from octomil.config import Settings
from octomil.control.cursors import cursor_of
from octomil.control.data_folder import open_data_folder
from octomil.control.moments import shown
from octomil.control.stores.device_lists import device_tags, tags_of
from octomil.control.stores.device_table import devices

COVERS = ("octomil/asgi", "octomil/control", "octomil/wire", "octomil/compose_control.py")

DEVICES, QUICK_DEVICES = 1_000_000, 20_000
AT_A_TIME = 4
PAGE = 100
SITES = 1000

_CHUNK = 20_000
_LIST = "/api/v1/devices"


class Fleet:
    """A data folder full of labelled devices, and an admin's key.

    Args:
        folder: made here.
        number: of devices.

    Attributes:
        fill_us: what a device took, with its two tags, in transactions of 20,000.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        with open_data_folder(folder) as opened:
            plane = build_plane(Settings(), opened)
            self.key = first_admin_key(plane) or ""
            self.newest_at = plane.clock()
            started_s = perf_counter()
            numbers = iter(range(number))
            while chunk := list(islice(numbers, _CHUNK)):
                with plane.store.system() as tx:
                    connection = tx._connection  # type: ignore[attr-defined]  # noqa: SLF001 - the port adds one at a time
                    connection.execute(insert(devices), [self._row(each) for each in chunk])
                    tags = [tag for each in chunk for tag in self._tags(each)]
                    connection.execute(insert(device_tags), tags)
            self.fill_us = (perf_counter() - started_s) / number * 1e6
            plane.close()

    def lists(self) -> dict[str, dict[str, str]]:
        """What is asked for, by what a row says of it."""
        half = self.number // 2
        seen_at = self.newest_at - timedelta(seconds=half)
        return {
            "first page": {},
            "page in the middle": {"cursor": cursor_of("id", _id(half))},
            "last page": {"cursor": cursor_of("id", _id(PAGE))},
            f"label that 1 in {SITES:,} has": {"label": "site=s7"},
            "group that half are in, in the middle": {
                "group": "g1",
                "cursor": cursor_of("id", _id(half)),
            },
            "platform that none has": {"platform": "none"},
            "identifiers that begin so": {"text": f"hospital-{half // PAGE:05}"},
            "seen before, in the middle": {"seen_before": shown(seen_at)},
        }

    def get(self, query: dict[str, str]) -> bytes:
        """The HTTP request for a page."""
        path = f"{_LIST}?{urlencode({'limit': str(PAGE), **query})}"
        head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self.key}\r\n\r\n"
        return head.encode()

    def registrations(self, label: str) -> list[bytes]:
        """Registrations of devices that are not there yet."""
        headers = {"authorization": f"Bearer {self.key}"}
        bodies = ({"device_identifier": f"{label}-{n}", "platform": "linux"} for n in range(20_000))
        return [
            http_request(f"{_LIST}/register", json.dumps(body).encode(), headers) for body in bodies
        ]

    def _row(self, number: int) -> dict[str, object]:
        at = self.newest_at - timedelta(seconds=self.number - number)
        return {
            "id": _id(number),
            "organisation": DEFAULT_ORGANISATION,
            "identifier": f"hospital-{number:07}",
            "platform": "linux",
            "metadata": {},
            "capabilities": {"training": True},
            "generation": 0,
            "created_at": at,
            "updated_at": at,
            "last_seen_at": at,
            "labels": {"site": f"s{number % SITES}"},
            "groups": [f"g{number % 2}"],
        }

    def _tags(self, number: int) -> Iterator[dict[str, object]]:
        for tag in sorted(tags_of({"site": f"s{number % SITES}"}, [f"g{number % 2}"])):
            yield {"organisation": DEFAULT_ORGANISATION, "tag": tag, "device_id": _id(number)}


def run(quick: bool) -> list[Row]:
    """Fill a data folder, then ask for pages of it, ours and the floor in turn."""
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as name:
        fleet = Fleet(Path(name) / "data", QUICK_DEVICES if quick else DEVICES)
        page = Path(name) / "page.json"
        with on_cores(load_core(usable_cores())):
            rounds, duration_s = (1, 1.0) if quick else (3, 3.0)
            ours, floor = _measured(fleet, page, rounds, duration_s)
    filled = Row(
        metric=f"insert into {fleet.number:,} rows, with two tags each", unit="µs",
        ours=fleet.fill_us,
    )  # fmt: skip
    at = f"{fleet.number:,} devices, {AT_A_TIME} at a time"
    rows = [
        compare(
            f"{name}, p99, {at}", "ms", {"ours": p99, "floor": floor},
            budget=Budget("ours", "at most", 50),
        )
        for name, p99 in ours.items()
    ]  # fmt: skip
    return [*rows, filled]


def _measured(
    fleet: Fleet, page: Path, rounds: int, duration_s: float
) -> tuple[dict[str, list[float]], list[float]]:
    """Return p99s in ms, of ours by what was asked for, and of the floor."""
    ours: dict[str, list[float]] = {name: [] for name in [*fleet.lists(), "register a device"]}
    floor: list[float] = []
    for number in range(rounds):
        with _up(fleet) as server:
            _keep_page(server, fleet, page)
            for name, query in fleet.lists().items():
                ours[name].append(_p99_ms(server, [fleet.get(query)], duration_s))
            new = fleet.registrations(f"new-{number}")
            ours["register a device"].append(_p99_ms(server, new, duration_s))
        with _floor(page) as server:
            floor.append(_p99_ms(server, [fleet.get({})], duration_s))
    return ours, floor


def _keep_page(server: Server, fleet: Fleet, page: Path) -> None:
    answer = httpx.get(
        f"http://127.0.0.1:{server.port}{_LIST}",
        params={"limit": PAGE},
        headers={"authorization": f"Bearer {fleet.key}"},
        timeout=60,
    )
    found = answer.raise_for_status().json()
    if len(found["devices"]) != PAGE:
        raise BenchError(f"a page of {len(found['devices'])} devices, not {PAGE}")
    page.write_bytes(answer.content)


def _p99_ms(server: Server, requests: list[bytes], duration_s: float) -> float:
    load: Load = drive(server.port, requests, concurrency=AT_A_TIME, duration_s=duration_s)
    if load.errors or not load.good:
        raise BenchError(f"{load.errors} of {load.good + load.errors}: {load.first_error}")
    return load.p99_ms


@contextmanager
def _up(fleet: Fleet) -> Iterator[Server]:
    port = free_port()
    argv = [str(octomil_program()), "up", "--data-dir", str(fleet.folder), "--port", str(port)]
    argv += ["--rate-limit", "off"]
    with serving("devices-up", argv, port=port, cores=server_core(usable_cores())) as server:
        wait_for_200(server, "/ready")
        yield server


@contextmanager
def _floor(page: Path) -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "bench.devices", str(port), str(page)]
    with serving("devices-floor", argv, port=port, cores=server_core(usable_cores())) as server:
        wait_for_200(server, "/ready")
        yield server


def _id(number: int) -> str:
    return f"dev_{number:031}"


def _floor_app(page: bytes) -> Starlette:
    async def answer(_request: Request) -> Response:
        return Response(page, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer)])


if __name__ == "__main__":
    uvicorn.run(
        _floor_app(Path(sys.argv[2]).read_bytes()),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
