"""The application's life, and whom it answers for."""

from pathlib import Path

import pytest
from starlette.types import Message

from octomil.control.app import build_app, life_of
from octomil.control.services.rate_limits import RateLimits
from support.control import API, bearer, client_of, control_plane, key_of


async def test_limits_that_cannot_be_closed_keep_nothing_else_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_limits: RateLimits) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(RateLimits, "close", fail)
    with control_plane(tmp_path) as plane:
        with pytest.raises(ConnectionError):
            async with life_of(plane):
                pass

        with pytest.raises(RuntimeError, match="shutdown"):
            await plane.threads.read(int)


async def test_the_plane_lives_as_long_as_the_server(tmp_path: Path):
    told: list[Message] = []
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(events)

    async def send(message: Message) -> None:
        told.append(message)

    with control_plane(tmp_path) as plane:
        await build_app(plane)({"type": "lifespan"}, receive, send)

        with pytest.raises(RuntimeError, match="shutdown"):
            await plane.threads.read(int)
    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [message["type"] for message in told] == complete


async def test_each_plane_of_a_process_answers_for_itself_alone(tmp_path: Path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    with control_plane(mine) as plane, control_plane(theirs) as other:
        key = key_of(plane)
        async with client_of(plane, key) as client, client_of(other, key_of(other)) as stranger:
            made = await client.post(f"{API}/models", json={"name": "mine"})
            assert made.status_code == 201
            assert (await stranger.get(f"{API}/models", headers=bearer(key))).status_code == 401
            async with life_of(plane):
                pass  # it is over

            assert (await stranger.get(f"{API}/models")).json() == {"models": []}
