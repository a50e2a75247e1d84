"""What is known about one request when it has left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from octomil.engines.base import Usage


@dataclass(frozen=True, slots=True)
class Dropped:
    """An answer that was dropped because its model was not sure of it.

    Attributes:
        model: who gave it.
        tier: the model's.
        usage: the tokens it took.
        cost_usd: what those cost; None where no price is known.
    """

    model: str
    tier: int
    usage: Usage
    cost_usd: float | None


@dataclass(slots=True)
class Observation:
    """One request, from its first byte to its last.

    Attributes:
        model: the model that answered, `tier0`, or empty if none was chosen.
        tier: 0 to 3; -1 if none was chosen.
        routed: whether the router chose, rather than the client.
        outcome: `stop`, `length`, `tool_calls`, `cancelled`, or `error:CODE`.
        cost_usd: what the answer cost; None where no price is known.
        dropped: the unsure answers before it, in order.
        subtasks: what is known about each task of a message that asked for several; the message
            itself has the model and the tier of the highest, and the usage of all.
    """

    started: float = field(default_factory=perf_counter)
    model: str = ""
    tier: int = -1
    routed: bool = False
    routing_s: float = 0.0
    queue_s: float = 0.0
    first_byte: float | None = None
    last_byte: float | None = None
    usage: Usage = field(default_factory=Usage)
    outcome: str = ""
    cost_usd: float | None = 0.0
    dropped: list[Dropped] = field(default_factory=list)
    subtasks: Sequence["Observation"] = ()

    @property
    def total_cost_usd(self) -> float | None:
        """What the answer and those dropped before it cost; None where a price is not known."""
        costs = [part.cost_usd for part in self.subtasks or (self,)]
        costs += [dropped.cost_usd for dropped in self.all_dropped]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @property
    def all_dropped(self) -> list[Dropped]:
        """The unsure answers before it, those to its tasks included."""
        return [dropped for part in self.subtasks or (self,) for dropped in part.dropped]

    @property
    def routing_us(self) -> int:
        """The routing decision in whole microseconds, at least 1."""
        return max(1, round(self.routing_s * 1e6))
