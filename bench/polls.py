"""The control plane with a million devices: polls, registrations, look-ups, and its start.

The plan that is polled has models and rollouts under way (`bench.plans`). Most polls are of devices
that have it; to some it is news, and those are told all that they are to run, signed. The floor is
a bare Starlette application that answers every request with the same few bytes, those of an answer
without news, on the same server. Run it as ``python -m bench.polls PORT``.
"""

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter

import uvicorn
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.cpu import cpu_seconds, load_core, on_cores, pss_mb, server_core, usable_cores
from bench.load import Load, drive, drive_paced, http_request
from bench.plans import MODELS, plan_releases
from bench.process import BenchError, Server, free_port, octomil_program, serving, wait_for_200
from bench.report import Budget, Row, compare
from octomil.compose_control import DEFAULT_ORGANISATION, build_plane, first_admin_key
from octomil.config import Settings
from octomil.control.data_folder import open_data_folder
from octomil.control.identifiers import new_id
from octomil.control.plane import ControlPlane
from octomil.control.records import EMPTY_PROFILE, Device
from octomil.control.stores.device_table import devices

COVERS = ("octomil/asgi", "octomil/control", "octomil/wire", "octomil/compose_control.py")

DEVICES, QUICK_DEVICES = 1_000_000, 20_000
POLLS_PER_S = 1_000
POLL_CONNECTIONS = 64
WRITERS = 16
POLLING = 20_000
"""So many of the devices poll, in turn."""
NEWS_EVERY = 10
"""Of so many polls one is of a device that has an older plan, as after a wave."""
NEWS_PER_S = 200
"""Polls while those are measured alone to which the plan is news."""

_CHUNK = 20_000
_TOKEN_TTL_S = 86_400
_FLOOR_ANSWER = (
    b'{"updated":false,"config_version":0,"assignments_changed":false,"rollouts_changed":false,'
    b'"assignments":[]}'
)


class Fleet:
    """A data folder full of devices, an admin's key, and the polls of some of the devices.

    Args:
        folder: made here.
        number: of devices.

    Attributes:
        planned: what the devices are told.
        polls: whole HTTP requests, of which one in `NEWS_EVERY` says that it has no plan yet.
        news: such as say so.
        insert_us: what a row took, in transactions of 20,000.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        with open_data_folder(folder) as opened:
            plane = build_plane(Settings(), opened)
            self.key = first_admin_key(plane) or ""
            started_s = perf_counter()
            some = random.Random(1).sample(range(number), min(POLLING, number))
            self.polling = _insert(plane, number, set(some))
            self.insert_us = (perf_counter() - started_s) / number * 1e6
            self.planned = plan_releases(plane)
            known = [_poll(plane, device, self.planned.number) for device in self.polling]
            self.news = [_poll(plane, device, 0) for device in self.polling]
            self.polls = [
                new if number % NEWS_EVERY == 0 else old
                for number, (old, new) in enumerate(zip(known, self.news, strict=True))
            ]
            plane.close()

    def gets(self) -> list[bytes]:
        """Look-ups of the same devices, by the admin's key."""
        return [_get(f"/api/v1/devices/{device.id}", self.key) for device in self.polling]

    def registrations(self, label: str) -> list[bytes]:
        """Registrations of devices that are not there yet."""
        headers = {"authorization": f"Bearer {self.key}"}
        bodies = (
            {"device_identifier": f"{label}-{number}", "platform": "linux", "sdk_version": "4.1.2"}
            for number in range(20_000)
        )
        path = "/api/v1/devices/register"
        return [http_request(path, json.dumps(body).encode(), headers) for body in bodies]


def run(quick: bool) -> list[Row]:
    """Fill a data folder, then measure on it, ours and the floor in turn."""
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as name:
        fleet = Fleet(Path(name) / "data", QUICK_DEVICES if quick else DEVICES)
        with on_cores(load_core(usable_cores())):
            return [
                *_poll_rows(fleet, rounds=1 if quick else 3, duration_s=6 if quick else 12),
                *_store_rows(fleet, rounds=1 if quick else 3, duration_s=2 if quick else 4),
                *_start_rows(fleet, Path(name), repeats=2 if quick else 5),
            ]


def _insert(plane: ControlPlane, number: int, wanted: set[int]) -> list[Device]:
    """Fill the store with devices; return the wanted ones."""
    found = []
    numbers = iter(range(number))
    while chunk := list(islice(numbers, _CHUNK)):
        made = [_device(plane, each) for each in chunk]
        with plane.store.transaction(DEFAULT_ORGANISATION) as tx:
            tx.devices._connection.execute(insert(devices), [_row(each) for each in made])  # type: ignore[attr-defined]  # noqa: SLF001 - the port adds one at a time
        found += [each for n, each in zip(chunk, made, strict=True) if n in wanted]
    return found


def _device(plane: ControlPlane, number: int) -> Device:
    now = plane.clock() - timedelta(seconds=number)
    return Device(
        id=new_id("dev", now),
        organisation=DEFAULT_ORGANISATION,
        identifier=f"hospital-{number:07}",
        profile=EMPTY_PROFILE,
        generation=0,
        created_at=now,
        updated_at=now,
    )


def _row(device: Device) -> dict[str, object]:
    profile = device.profile
    return {
        "id": device.id,
        "organisation": device.organisation,
        "identifier": device.identifier,
        "platform": "linux",
        "sdk_version": "4.1.2",
        "metadata": profile.metadata,
        "capabilities": profile.capabilities,
        "generation": device.generation,
        "created_at": device.created_at,
        "updated_at": device.updated_at,
    }


def _poll(plane: ControlPlane, device: Device, known: int) -> bytes:
    token, _ = plane.access_tokens.give(device, ("devices:write",), _TOKEN_TTL_S)
    return _get(f"/api/v1/devices/{device.id}/assignments?config_version={known}", token)


def _get(path: str, token: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    )


@contextmanager
def _up(fleet: Fleet) -> Iterator[Server]:
    port = free_port()
    argv = [str(octomil_program()), "up", "--data-dir", str(fleet.folder), "--port", str(port)]
    argv += ["--rate-limit", "off"]
    with serving("polls-up", argv, port=port, cores=server_core(usable_cores())) as server:
        wait_for_200(server, "/ready")
        yield server


@contextmanager
def _floor() -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "bench.polls", str(port)]
    with serving("polls-floor", argv, port=port, cores=server_core(usable_cores())) as server:
        wait_for_200(server, "/ready")
        yield server


def _poll_rows(fleet: Fleet, *, rounds: int, duration_s: float) -> list[Row]:
    p50: dict[str, list[float]] = {"ours": [], "floor": []}
    p99: dict[str, list[float]] = {"ours": [], "floor": []}
    cpu_us: dict[str, list[float]] = {"ours": [], "floor": []}
    pss: list[float] = []
    news_us: list[float] = []
    for _ in range(rounds):
        for key, started in (("ours", _up(fleet)), ("floor", _floor())):
            with started as server:
                _paced(server, fleet.polls, 1)
                load, used_us = _cpu_of(server, fleet.polls, duration_s)
                cpu_us[key].append(used_us)
                if key == "ours":
                    pss.append(pss_mb(server.pid))
                    news = _cpu_of(server, fleet.news, duration_s / 3, rate_per_s=NEWS_PER_S)
                    news_us.append(news[1])
            p50[key].append(load.p50_ms)
            p99[key].append(load.p99_ms)
    at = f"{fleet.number:,} devices, {POLLS_PER_S:,} polls/s"
    note = (
        f"counted from when a poll was due; {int(POLLS_PER_S * duration_s):,} polls a round; "
        f"{fleet.planned}; to one poll in {NEWS_EVERY} the plan is news"
    )
    signed = f"{MODELS} assignments, each signed for the device"
    return [
        compare(f"poll p50, {at}", "ms", p50),
        compare(f"poll p99, {at}", "ms", p99, budget=Budget("ours", "at most", 20), note=note),
        compare("CPU per poll", "µs", cpu_us),
        compare("CPU per poll to which the plan is news", "µs", {"ours": news_us}, note=signed),
        compare("memory while polled", "MB", {"ours": pss}),
    ]


def _cpu_of(
    server: Server, requests: list[bytes], duration_s: float, rate_per_s: int = POLLS_PER_S
) -> tuple[Load, float]:
    """Return a load, and the processor's microseconds that each request took of the server."""
    before_s = cpu_seconds(server.pid)
    load = _paced(server, requests, duration_s, rate_per_s)
    return load, (cpu_seconds(server.pid) - before_s) / load.good * 1e6


def _paced(
    server: Server, requests: list[bytes], duration_s: float, rate_per_s: int = POLLS_PER_S
) -> Load:
    load = drive_paced(
        server.port,
        requests,
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        connections=POLL_CONNECTIONS,
    )
    return _whole(load)


def _whole(load: Load) -> Load:
    if load.errors or not load.good:
        raise BenchError(f"{load.errors} of {load.good + load.errors}: {load.first_error}")
    return load


def _store_rows(fleet: Fleet, *, rounds: int, duration_s: float) -> list[Row]:
    taken: dict[str, list[Load]] = {"register": [], "get": []}
    with _up(fleet) as server:
        for number in range(rounds):
            calls = {"register": fleet.registrations(f"new-{number}"), "get": fleet.gets()}
            for key, requests in calls.items():
                load = drive(server.port, requests, concurrency=WRITERS, duration_s=duration_s)
                taken[key].append(_whole(load))
    rows = [
        Row(
            metric=f"insert into {fleet.number:,} rows, {_CHUNK:,} a transaction",
            unit="µs",
            ours=fleet.insert_us,
        )
    ]
    notes = {"register": "each committed to the disk, audit included, before it is answered"}
    for key, loads in taken.items():
        per_s = [load.good / load.wall_s for load in loads]
        at = f"{key} a device, {WRITERS} at a time"
        rows += [
            compare(
                f"{at}", "per s", {"ours": per_s}, higher_is_better=True, note=notes.get(key, "")
            ),
            compare(f"{at}, p99", "ms", {"ours": [load.p99_ms for load in loads]}),
        ]
    return rows


def _start_rows(fleet: Fleet, folder: Path, *, repeats: int) -> list[Row]:
    first: list[float] = []
    later: list[float] = []
    for number in range(repeats):
        for data, taken in ((folder / f"fresh-{number}", first), (fleet.folder, later)):
            port = free_port()
            argv = [str(octomil_program()), "up", "--data-dir", str(data), "--port", str(port)]
            cores = server_core(usable_cores())
            with serving("polls-start", argv, port=port, cores=cores) as server:
                taken.append(wait_for_200(server, "/ready"))
    budget = Budget("ours", "at most", 2)
    return [
        compare("octomil up, exec to ready, first start", "s", {"ours": first}, budget=budget),
        compare(
            f"octomil up, exec to ready, {fleet.number:,} devices", "s", {"ours": later},
            budget=budget,
        ),
    ]  # fmt: skip


def _floor_app() -> Starlette:
    async def answer(_request: Request) -> Response:
        return Response(_FLOOR_ANSWER, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer)])


if __name__ == "__main__":
    uvicorn.run(
        _floor_app(),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
