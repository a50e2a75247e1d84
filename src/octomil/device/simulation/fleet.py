"""A simulated fleet: its devices take turns, paced and jittered, until its time is up."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

from octomil.device.simulation.calls import Calls
from octomil.device.simulation.devices import Deeds, SimulatedDevice
from octomil.device.simulation.world import Nature, World
from octomil.errors import ForbiddenError, OctomilClientError, UnauthorizedError

_TELL_S: Final = 1.0
_JITTER: Final = 0.2
_LAST_TURNS_S: Final = 10.0
"""What is under way when a fleet ends has so long to be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a fleet is simulated.

    Attributes:
        api_base: the control plane's address.
        bootstrap_token: lets the devices in.
        devices: how many; they are called `PREFIX-0`, `PREFIX-1` and so on.
        prefix: begins their names.
        seconds: how long it lasts.
        turns: it ends before, once each device had so many; None for as many as there are.
        poll_s: seconds between two turns of a device; each differs by up to a fifth.
        connections: requests under way at once, at most.
    """

    api_base: str
    bootstrap_token: str
    devices: int
    prefix: str = "simulated"
    seconds: float = 60.0
    turns: int | None = None
    poll_s: float = 10.0
    connections: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it goes, or went.

    Attributes:
        devices_in: how many the control plane has let in.
        running: how many say that they run each version, by `MODEL@VERSION`.
        requests: how many were answered, by what was asked.
        refused: how many of these were refused, or not answered, by what and status.
        attested: by what was said: `active`, `failed`.
        lies: words that were not true.
        repeated: words that were said again.
        reported: reports of usage that the control plane counted.
        p50_ms: how long the calls took, the last 10,000 of them, without waiting for their turn.
    """

    devices: int
    devices_in: int
    seconds: float
    running: dict[str, int]
    requests: dict[str, int]
    refused: dict[str, int]
    attested: dict[str, int]
    lies: int
    repeated: int
    reported: int
    p50_ms: float | None
    p99_ms: float | None


class Fleet:
    """Devices that live at once, in one thread.

    Args:
        plan: how many, where, and how long.
        world: what they are like.
        tell: is told how it goes, once a second.
        clock: tells seconds since 1970; the system's by default.
    """

    def __init__(
        self,
        plan: Plan,
        world: World,
        tell: Callable[[Report], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._calls = Calls(plan.api_base, plan.connections)
        self._deeds = Deeds()
        self._began_s = time.monotonic()
        self._stop = asyncio.Event()
        self._living = plan.devices
        self._fault: OctomilClientError | None = None
        natures = [Nature(world, number) for number in range(plan.devices)]
        self._lives = [
            (nature, SimulatedDevice(f"{plan.prefix}-{number}", nature, self._calls,
                                     plan.bootstrap_token, self._deeds, clock or _now_s))
            for number, nature in enumerate(natures)
        ]  # fmt: skip

    def stop(self) -> None:
        """End it before its time is up."""
        self._stop.set()

    async def run(self) -> Report:
        """Let the devices live, and return what they did.

        Raises:
            UnauthorizedError: the bootstrap token lets nobody in, or no more devices.
            ForbiddenError: it is not for such devices.
        """
        self._began_s = time.monotonic()
        lives = [asyncio.create_task(self._live(*each)) for each in self._lives]
        teller = asyncio.create_task(self._tell_often())
        try:
            with suppress(TimeoutError):  # its time is up
                await asyncio.wait_for(self._stop.wait(), self._plan.seconds)
        finally:
            self._stop.set()
            teller.cancel()
            # Who is cancelled while it connects may lose the cancellation, and leaves a socket.
            _, late = await asyncio.wait(lives, timeout=_LAST_TURNS_S)
            for task in late:
                task.cancel()
            ended = await asyncio.gather(*lives, teller, return_exceptions=True)
            await self._calls.close()
        for each in ended:
            if isinstance(each, Exception):
                raise each
        if self._fault is not None:
            raise self._fault
        return self.report()

    def report(self) -> Report:
        """Return how it goes."""
        running = Counter(
            f"{version.name}@{version.version}"
            for _, device in self._lives
            for version in device.running.values()
        )
        return Report(
            devices=len(self._lives),
            devices_in=sum(device.is_in for _, device in self._lives),
            seconds=time.monotonic() - self._began_s,
            running=dict(running),
            requests=dict(self._calls.answered),
            refused=dict(self._calls.refused),
            attested=dict(self._deeds.attested),
            lies=self._deeds.lies,
            repeated=self._deeds.repeated,
            reported=self._deeds.reported,
            p50_ms=self._calls.quantile_ms(0.5),
            p99_ms=self._calls.quantile_ms(0.99),
        )

    async def _live(self, nature: Nature, device: SimulatedDevice) -> None:
        poll_s = self._plan.poll_s
        await self._rest(nature.rng.random() * poll_s)  # a fleet does not wake up at once
        for _ in count() if self._plan.turns is None else range(self._plan.turns):
            if self._stop.is_set():
                return
            try:
                await device.turn()
            except (UnauthorizedError, ForbiddenError) as error:
                if not device.is_in:  # neither will the next try, nor the next device, get in
                    self._fault = error
                    self._stop.set()
            except OctomilClientError:
                pass  # counted by `Calls`; the device tries again at its next turn
            await self._rest(poll_s * nature.rng.uniform(1 - _JITTER, 1 + _JITTER))
        self._living -= 1
        if not self._living:
            self._stop.set()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _tell_often(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            self._tell(self.report())


def simulate(plan: Plan, world: World, tell: Callable[[Report], None]) -> Report:
    """Simulate a fleet until its time is up, or the process is asked to end (SIGINT, SIGTERM).

    Raises:
        ConfigurationError: the address is none.
        UnauthorizedError, ForbiddenError: the bootstrap token lets no device in.
    """
    return asyncio.run(_simulate(plan, world, tell))


async def _simulate(plan: Plan, world: World, tell: Callable[[Report], None]) -> Report:
    fleet = Fleet(plan, world, tell)
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, fleet.stop)
    return await fleet.run()


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
