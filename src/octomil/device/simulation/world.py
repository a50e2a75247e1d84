"""What simulated devices are like: drawn once for each, from a seed, and the same in every run."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from octomil.errors import ConfigurationError
from octomil.wire.devices import Assignment

_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a fleet is like; shares are from 0 to 1.

    Attributes:
        seed: with another one, other devices are what they are.
        offline: probability that a device does not speak when it is its turn.
        lying: share of the devices that attest as active what they cannot run.
        repeating: share whose every word arrives twice, and the one before it once more.
        skew_s: a device's clock is wrong by up to so many seconds, either way.
        failing: of versions, by number or digest, the share of the devices that cannot run them.
        erring: likewise, the share of requests that fail.
        usual_errors: the same of all other versions.

    Raises:
        ConfigurationError: a share is none.
    """

    seed: int = 0
    offline: float = 0.2
    lying: float = 0.05
    repeating: float = 0.05
    skew_s: float = 300.0
    failing: Mapping[str, float] = field(default_factory=lambda: _NONE)
    erring: Mapping[str, float] = field(default_factory=lambda: _NONE)
    usual_errors: float = 0.01

    def __post_init__(self) -> None:
        named = {name: getattr(self, name) for name in ("offline", "lying", "repeating")}
        for name, share in {**named, **self.failing, **self.erring}.items():
            if not 0 <= share <= 1:
                raise ConfigurationError(f"the share of {name} must be from 0 to 1, got {share}")


class Nature:
    """What one device is like.

    Args:
        world: what all are like.
        number: the device's, from 0.

    Example:
        >>> world = World(lying=1, failing={"2.0.0": 0.5})
        >>> Nature(world, 3).lies, Nature(world, 3).skew_s == Nature(world, 3).skew_s
        (True, True)
    """

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._name = f"{world.seed}:{number}"
        self.rng = random.Random(self._name)
        self.lies = self.rng.random() < world.lying
        self.repeats = self.rng.random() < world.repeating
        self.skew_s = self.rng.uniform(-world.skew_s, world.skew_s)
        self.usual_ms = self.rng.lognormvariate(4.4, 0.5)

    def is_offline(self) -> bool:
        """Tell whether the device stays silent this time."""
        return self.rng.random() < self._world.offline

    def can_run(self, version: Assignment) -> bool:
        """Tell whether a version runs on this device; asked again, the answer is the same."""
        share = _of(self._world.failing, version, 0.0)
        return random.Random(f"{self._name}:{version.digest}").random() >= share

    def failures(self, version: Assignment, requests: int) -> int:
        """Draw how many of some requests fail."""
        share = _of(self._world.erring, version, self._world.usual_errors)
        return sum(self.rng.random() < share for _ in range(requests))


def _of(shares: Mapping[str, float], version: Assignment, usual: float) -> float:
    return shares.get(version.digest, shares.get(version.version, usual))
