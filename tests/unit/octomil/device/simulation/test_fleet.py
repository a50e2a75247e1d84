"""A simulated fleet ends when it should, whatever its devices are in the middle of."""

import asyncio

import pytest

from octomil.device.simulation.fleet import Fleet, Plan
from octomil.device.simulation.world import World
from octomil.errors import UnauthorizedError
from support.scripted import problem, scripted

FLEETS = 8


async def test_devices_that_are_just_connecting_end_with_the_rest():
    """Who is cancelled while it connects may lose the cancellation: one fleet in twenty did."""
    with scripted(problem("unauthorized", 401)) as server:
        plan = Plan(api_base=server.url, bootstrap_token="nothing", devices=30, poll_s=0.02)
        for _ in range(FLEETS):
            fleet = Fleet(plan, World(offline=0.0), lambda _: None)
            with pytest.raises(UnauthorizedError):
                async with asyncio.timeout(120):
                    await fleet.run()
