"""What was seen since a step began: of devices that took the new version, and of the others.

A device counts once in each step, and only if it attested what it ran and was healthy before: one
that was broken already says nothing about the version, and one that lies about itself has usually
been lying for long. Devices that are offline are in neither arm and hold up nothing.

That a device failed is heard at once, that it is healthy only when its window is over. So early
reports are mostly bad news; the gates need to know how many are under way to make up for that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics import Moments
from epochly.inference.statistics.intervals import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The devices that ran one version long enough to judge.

    Attributes:
        devices: how many came to an end: healthy for the whole window, or failed.
        failed: how many of these could not run it, or did not stay healthy.
        under_way: how many have begun, and may still become either.
        error_shares: of the devices that answered requests, the share of these that failed.
        log_latencies: of the same, the mean of the logarithms of their latencies.
    """

    devices: int = 0
    failed: int = 0
    under_way: int = 0
    error_shares: Moments | None = None
    log_latencies: Moments | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.failed <= self.devices:
            raise ValueError(f"{self.failed} of {self.devices} devices cannot have failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a rollout's controller looks at.

    Attributes:
        fleet: devices that could be offered a version; disabled ones are not among them.
        candidate: the devices that took the version since the step began.
        baseline: those that were not offered it, and their health in the same time.
        on_the_way: devices that said within the last hour that they fetch the version, try it or
            activate it: no evidence, but where there is little of it they are waited for.
        reached: devices that the step has been offered to so far, where somebody counted them; else
            it is taken for its share of the fleet.
        next_place: the lowest place of a device that is not offered the version yet, likewise;
            `PLACES` if there is none.
    """

    fleet: int
    candidate: Arm = Arm()
    baseline: Arm = Arm()
    on_the_way: int = 0
    reached: int | None = None
    next_place: int | None = None

    @property
    def reaches_nobody(self) -> bool:
        """Whether there is a fleet, and no device of it was offered the step."""
        return self.fleet > 0 and self.reached == 0


def counted(was_healthy: npt.ArrayLike, has_ended: npt.ArrayLike) -> BoolArray:
    """Tell which devices count in an arm.

    Args:
        was_healthy: whether each attested what it ran, and was healthy, before the step.
        has_ended: whether its window is over, or it failed; of the same shape.
    """
    return np.logical_and(was_healthy, has_ended)
