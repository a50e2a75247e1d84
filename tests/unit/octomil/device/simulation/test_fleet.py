"""A simulated fleet ends when it should, whatever its devices are in the middle of."""

import asyncio
from contextlib import suppress
from typing import Any, NoReturn

import pytest

from octomil.device.simulation import fleet as module
from octomil.device.simulation.calls import Calls
from octomil.device.simulation.fleet import Fleet, Plan
from octomil.device.simulation.world import World
from octomil.errors import ServiceUnavailableError, UnauthorizedError

PLAN = Plan(api_base="http://127.0.0.1:9", bootstrap_token="nothing", devices=2, poll_s=0.01)


class Connecting(Calls):
    """Loses the cancellation of its first call, as a connecting client may; refuses all others."""

    calls = lost = 0

    async def send(self, *_: Any, **__: Any) -> NoReturn:
        self.calls += 1
        if self.calls > 1:
            raise UnauthorizedError("this token lets nobody in")
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        self.lost += 1
        raise ServiceUnavailableError("nobody answers")


async def test_a_device_that_loses_its_cancellation_ends_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
):
    """It would poll for ever, and be waited for."""
    calls = Connecting(PLAN.api_base, PLAN.connections)
    monkeypatch.setattr(module, "Calls", lambda *_: calls)
    monkeypatch.setattr(module, "_LAST_TURNS_S", 0.0)
    fleet = Fleet(PLAN, World(offline=0.0), lambda _: None)

    with pytest.raises(UnauthorizedError):
        async with asyncio.timeout(45):
            await fleet.run()

    assert (calls.calls, calls.lost) == (2, 1)
