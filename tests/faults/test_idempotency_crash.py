"""A control plane that is killed carries out no request twice that is repeated under its key."""

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event

import httpx

from octomil.control.api.idempotency import HEADER
from support.control import API, bearer, printed_key, upping
from support.serving import ServeProcess
from support.waiting import PATIENCE_S

KILLS = 4
CLIENTS = 4


def begin(client: httpx.Client, key: str) -> str:
    """Begin an upload, which is another one each time; return its id."""
    body = {"size_bytes": 1, "name": key}
    answer = client.post(f"{API}/uploads", json=body, headers={HEADER: key})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == key
    return answer.json()["id"]


def beginning(
    served: ServeProcess, key: str, names: "count[int]", enough: int, crash: Event
) -> dict[str, str | None]:
    """Begin uploads until the server is gone; the id of each, None where no answer came."""
    begun: dict[str, str | None] = {}
    with httpx.Client(base_url=served.url, headers=bearer(key), timeout=PATIENCE_S) as client:
        while not crash.is_set():
            name = f"request-{next(names)}"
            begun[name] = None
            try:
                begun[name] = begin(client, name)
            except httpx.TransportError:
                break
            if len(begun) >= enough:
                crash.set()
    return begun


def test_kill_9_makes_no_repeated_request_happen_twice(tmp_path: Path):
    chance = random.Random(1)
    folder, names, key = tmp_path / "data", count(), None
    begun: dict[str, str | None] = {}
    for _ in range(KILLS):
        with upping(folder) as served, ThreadPoolExecutor(CLIENTS) as threads:
            key = key or printed_key(served)
            crash, enough = Event(), chance.randrange(1, 12)
            clients = [
                threads.submit(beginning, served, key, names, enough, crash) for _ in range(CLIENTS)
            ]
            assert crash.wait(PATIENCE_S)
            served.process.kill()
            served.process.wait()
            for client in clients:
                begun |= client.result()

    with upping(folder) as served:
        with httpx.Client(base_url=served.url, headers=bearer(key), timeout=PATIENCE_S) as client:
            repeated = {name: begin(client, name) for name in begun}
            again = {name: begin(client, name) for name in begun}
        assert served.stop() == 0

    assert again == repeated
    assert {name: repeated[name] for name, upload in begun.items() if upload} == {
        name: upload for name, upload in begun.items() if upload
    }
    with sqlite3.connect(folder / "octomil.sqlite3") as database:
        rows = database.execute("SELECT name, id FROM uploads").fetchall()
    database.close()
    assert sorted(rows) == sorted(repeated.items())
