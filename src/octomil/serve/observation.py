"""What is known about one request when it has left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from epochly.inference.context.request import RequestContext
from octomil.engines.base import Pace, Timing, Usage

DEFAULT_TENANT = "default"
"""Who asks, where keys tell no tenants apart."""


@dataclass(frozen=True, slots=True)
class Spent:
    """An answer that never reached the client, and what it took.

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
        tenant: who asked, by the name of the key.
        request_id: what the client can ask about it by.
        context: its place in its client's trace; None where the client sent none.
        asked: the request as the client sent it; None where it made no sense.
        model: the model that answered, `tier0`, or empty if none was chosen.
        tier: 0 to 3; -1 if none was chosen.
        routed: whether a router chose, rather than the client.
        waits: each model whose turn it waited for, in order, and for how many seconds.
        timing: when the tokens of the answer came.
        pace: how fast an answer in one piece was written; None where `timing` tells.
        outcome: `stop`, `length`, `tool_calls`, `cancelled`, or `error:CODE`.
        cost_usd: what the answer cost; None where no price is known.
        dropped: the answers before it that were dropped because their models were unsure, in order.
        broken: the answers before it that broke off, in order.
        subtasks: what is known about each task of a message that asked for several; the message
            itself has the model and the tier of the highest, and the usage of all.
    """

    started: float = field(default_factory=perf_counter)
    tenant: str = DEFAULT_TENANT
    request_id: str = ""
    context: RequestContext | None = None
    asked: Mapping[str, Any] | None = None
    model: str = ""
    tier: int = -1
    routed: bool = False
    routing_s: float = 0.0
    waits: list[tuple[str, float]] = field(default_factory=list)
    timing: Timing = field(default_factory=Timing)
    pace: Pace | None = None
    usage: Usage = field(default_factory=Usage)
    outcome: str = ""
    cost_usd: float | None = 0.0
    dropped: list[Spent] = field(default_factory=list)
    broken: list[Spent] = field(default_factory=list)
    subtasks: Sequence["Observation"] = ()

    def turn_to(self, model: str) -> None:
        """Begin with a model; what one before it used that failed is kept."""
        if self.usage.completion_tokens:
            self.broken.append(self._spent())
        self.model, self.usage, self.cost_usd = model, Usage(), 0.0
        self.timing = Timing()

    def waited(self, seconds: float) -> None:
        """Note how long the request stood in the queue of the model it turned to."""
        self.waits.append((self.model, seconds))

    def drop(self) -> None:
        """Note that the model was not sure of its answer."""
        self.dropped.append(self._spent())
        self.usage, self.cost_usd = Usage(), 0.0

    def _spent(self) -> Spent:
        return Spent(self.model, self.tier, self.usage, self.cost_usd)

    @property
    def total_cost_usd(self) -> float | None:
        """What the answer and those in vain before it cost; None where a price is not known."""
        costs = [part.cost_usd for part in self.subtasks or (self,)]
        costs += [spent.cost_usd for spent in self.all_in_vain]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @property
    def escalated_from(self) -> str:
        """Whose unsure answers were dropped, in order; of several tasks, `NAME;task=NUMBER`."""
        if not self.subtasks:
            return ",".join(spent.model for spent in self.dropped)
        return ",".join(
            f"{spent.model};task={number}"
            for number, part in enumerate(self.subtasks, 1)
            for spent in part.dropped
        )

    @property
    def all_in_vain(self) -> list[Spent]:
        """The unsure and the broken answers before it, those to its tasks included."""
        return [s for part in self.subtasks or (self,) for s in (*part.dropped, *part.broken)]

    @property
    def routing_us(self) -> int:
        """The routing decision in whole microseconds, at least 1."""
        return max(1, round(self.routing_s * 1e6))
