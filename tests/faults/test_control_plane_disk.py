"""A full disk: what cannot be kept is refused, what was acknowledged stays, reading goes on."""

import asyncio
from pathlib import Path

from sqlalchemy import text

from octomil.control.plane import ControlPlane
from support.control import API, client_of, control_plane, key_of

AT_ONCE = 40


def limit_pages(plane: ControlPlane, spare: int | None) -> None:
    """Let the database grow by so many pages only, which SQLite tells as a full disk."""
    with plane.store.system() as tx:
        pages = tx._connection.execute(text("PRAGMA page_count")).scalar_one()
        most = 2**30 if spare is None else pages + spare
        tx._connection.execute(text(f"PRAGMA max_page_count={most}"))


async def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(tmp_path: Path):
    with control_plane(tmp_path) as plane:
        async with client_of(plane, key_of(plane)) as client:

            async def register(number: int) -> tuple[int, str]:
                body = {"device_identifier": f"box-{number}", "metadata": {"x": "y" * 5000}}
                answer = await client.post(f"{API}/devices/register", json=body)
                assert answer.status_code in (200, 503), answer.text
                return number, answer.json()["id"] if answer.status_code == 200 else ""

            limit_pages(plane, 12)
            answers = await asyncio.gather(*(register(number) for number in range(AT_ONCE)))
            kept = {number: device for number, device in answers if device}
            for number, device in kept.items():
                shown = (await client.get(f"{API}/devices/{device}")).json()
                assert shown["device_identifier"] == f"box-{number}"
            limit_pages(plane, None)
            again = dict(await asyncio.gather(*(register(number) for number in range(AT_ONCE))))

        assert 0 < len(kept) < AT_ONCE
        assert {number: again[number] for number in kept} == kept
        with plane.store.snapshot("default") as tx:
            assert tx.audit.verify() == 1 + AT_ONCE
