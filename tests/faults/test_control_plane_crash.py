"""A control plane that is killed loses no device whose registration it had acknowledged."""

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event

import httpx

from support.control import API, bearer, control_plane, printed_key, upping
from support.serving import ServeProcess

KILLS = 4
CLIENTS = 4


def registering(
    served: ServeProcess, key: str, names: "count[int]", enough: int, crash: Event
) -> dict[str, str]:
    """Register devices until there are `enough`, or the server is gone; those acknowledged."""
    acknowledged: dict[str, str] = {}
    with httpx.Client(base_url=served.url, headers=bearer(key), timeout=30) as client:
        while not crash.is_set():
            name = f"box-{next(names)}"
            try:
                body = {"device_identifier": name, "metadata": {"name": name}}
                answer = client.post(f"{API}/devices/register", json=body)
            except httpx.TransportError:
                break
            assert answer.status_code == 200, answer.text
            acknowledged[name] = answer.json()["id"]
            if len(acknowledged) >= enough:
                crash.set()
    return acknowledged


def test_kill_9_loses_no_acknowledged_device(tmp_path: Path):
    chance = random.Random(1)
    folder, names, key = tmp_path / "data", count(), None
    acknowledged: dict[str, str] = {}
    for kill in range(KILLS):
        with upping(folder) as served, ThreadPoolExecutor(CLIENTS) as threads:
            key = key or printed_key(served)
            assert printed_key(served) in ((key,) if kill == 0 else (None,))
            crash, enough = Event(), chance.randrange(1, 12)
            clients = [
                threads.submit(registering, served, key, names, enough, crash)
                for _ in range(CLIENTS)
            ]
            assert crash.wait(60)
            served.process.kill()
            served.process.wait()
            for client in clients:
                acknowledged |= client.result()

    with upping(folder) as served:
        for name, device_id in acknowledged.items():
            device = served.get(f"{API}/devices/{device_id}", headers=bearer(key)).json()
            assert (device["device_identifier"], device["metadata"]) == (name, {"name": name})
        assert served.stop() == 0

    assert len(acknowledged) >= KILLS
    with sqlite3.connect(folder / "octomil.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        devices = database.execute("SELECT count(*) FROM devices").fetchone()[0]
    database.close()
    with control_plane(folder) as plane, plane.store.snapshot("default") as tx:
        assert tx.audit.verify() == devices + 1  # and the key; none without its act, no act alone
