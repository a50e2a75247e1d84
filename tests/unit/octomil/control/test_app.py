"""The end of the application's life."""

from pathlib import Path

import pytest

from octomil.control.app import framework_app
from octomil.control.services.rate_limits import RateLimits
from support.control import control_plane


async def test_limits_that_cannot_be_closed_keep_nothing_else_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_limits: RateLimits) -> None:
        raise ConnectionError("gone")

    async def live() -> None:
        async with app.router.lifespan_context(app):
            pass

    monkeypatch.setattr(RateLimits, "close", fail)
    with control_plane(tmp_path) as plane:
        app = framework_app(plane)
        with pytest.raises(ConnectionError):
            await live()

        with pytest.raises(RuntimeError, match="shutdown"):
            await plane.threads.read(int)
