"""How much worse than the version before it a version may be, and how sure one must be."""

from dataclasses import dataclass, field


class LimitsError(ValueError):
    """Limits make no sense; the message names the one at fault."""


@dataclass(frozen=True, slots=True)
class Excess:
    """By how much the new version may exceed the old one in what there should be little of.

    Between the two bounds a version is neither good nor bad, and either verdict may come.

    Attributes:
        tolerated: a version within it is rolled back by a false alarm only.
        unacceptable: a version beyond it passes by a mistake only.
        is_required: whether a step waits for evidence where there is none; for devices it does.

    Raises:
        LimitsError: not 0 <= tolerated < unacceptable.
    """

    tolerated: float
    unacceptable: float
    is_required: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.tolerated < self.unacceptable:
            raise LimitsError(
                "the tolerated excess must be 0 or more and below the unacceptable one, "
                f"got {self.tolerated} and {self.unacceptable}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gates of a rollout measure by.

    Attributes:
        devices: excess of the share of devices that cannot run the version, or run it badly.
        errors: excess of the share of requests that fail, as a device sees it on average.
        latency: relative excess of the latency: 0.1 for 10 % slower.
        minimum_sample: devices in each arm below which nothing is weighed; then a step passes only
            if every device that tried is healthy.
        sufficient_sample: devices with which there mostly is a verdict; until a step was offered to
            so many, its offer may grow without one, up to the step's share.
        false_alarm: greatest probability that one gate ever stops a version that exceeds the old
            one by just what is tolerated, in all steps together; of three gates, three times that.
        missed: greatest probability that a gate lets one pass a step that exceeds it by just what
            is unacceptable.
        expected_failures: share of devices that fail where no old version is there to compare with.

    Raises:
        LimitsError: a value is out of its range.
    """

    devices: Excess = field(default_factory=lambda: Excess(0.005, 0.04))
    errors: Excess = field(default_factory=lambda: Excess(0.005, 0.04))
    latency: Excess = field(default_factory=lambda: Excess(0.1, 0.25))
    minimum_sample: int = 200
    sufficient_sample: int = 1_000
    false_alarm: float = 0.02
    missed: float = 0.02
    expected_failures: float = 0.02

    def __post_init__(self) -> None:
        for name in ("false_alarm", "missed", "expected_failures"):
            value = getattr(self, name)
            if not 0 < value < 0.5:
                raise LimitsError(f"{name} must lie above 0 and below 0.5, got {value}")
        if self.minimum_sample < 2:
            raise LimitsError(f"minimum_sample must be 2 or more, got {self.minimum_sample}")
        if self.sufficient_sample < self.minimum_sample:
            raise LimitsError(
                f"sufficient_sample {self.sufficient_sample} is below minimum_sample "
                f"{self.minimum_sample}"
            )
        for name in ("devices", "errors"):
            if getattr(self, name).unacceptable >= 1:
                raise LimitsError(f"{name}: a share cannot exceed another by 1 or more")


def spent_in(step: int, chance: float) -> float:
    """Return the part of a chance of being wrong that one step may use up.

    Every step looks at evidence of its own, and one false alarm ends the rollout. The parts 1/2,
    1/6, 1/12 … add up to no more than the whole, however many steps there are, and leave most to
    the first, when fewest devices run the version.

    Args:
        step: 1 for the first.
        chance: of all steps together.
    """
    return chance / (step * (step + 1))
