"""What measurements say of how fast devices run models."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from octomil.placement.decision import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpeed:
    """How fast a device ran a model.

    Attributes:
        size_mb: of its file, in megabytes of a million bytes.
        tokens_per_s: how fast it wrote; each token is one pass through the weights.
    """

    model: str
    size_mb: float
    tokens_per_s: float

    @property
    def latency_ms(self) -> float:
        """How long one pass takes.

        Example:
            >>> ModelSpeed(model="smollm2-135m", size_mb=100, tokens_per_s=50).latency_ms
            20.0
        """
        return 1000 / self.tokens_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What is known of how fast a model will be; each group may be empty.

    Attributes:
        own_ms: latency of the model, as the very device measured it.
        ms: the same, of devices of its kind.
        own_ms_per_mb: pace of the very device.
        ms_per_mb: the same, of devices of its kind.
    """

    own_ms: float | None = None
    ms: tuple[float, ...] = ()
    own_ms_per_mb: float | None = None
    ms_per_mb: tuple[float, ...] = ()

    def typical(self) -> Measured:
        """Return what to expect: a device's own measurement, else the median of its kind's.

        Of some devices that lie or were busy, a median takes no notice while they are the minority.

        Example:
            >>> Samples(ms=(20, 22, 900)).typical().device_ms
            22.0
        """
        return Measured(
            device_ms=_one(self.own_ms, self.ms), ms_per_mb=_one(self.own_ms_per_mb, self.ms_per_mb)
        )


def pace_of(speeds: Sequence[ModelSpeed]) -> float | None:
    """Return a device's pace in ms for a megabyte of weights: the median of its models'.

    Example:
        >>> pace_of([ModelSpeed(model="smollm2-135m", size_mb=100, tokens_per_s=50)])
        0.2
    """
    if not speeds:
        return None
    return median(each.latency_ms / each.size_mb for each in speeds)


def _one(own: float | None, others: Sequence[float]) -> float | None:
    if own is not None:
        return own
    return float(median(others)) if others else None
