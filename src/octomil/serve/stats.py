"""Routing statistics, in the documented shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

_SPEED_TOKENS = 2000  # a model's speed is that of about so many of its last tokens


Paces = Mapping[str, float]
"""Seconds that models take for a token, of those whose speed has been seen."""


@dataclass(frozen=True, slots=True)
class Savings:
    """What routing saved, against the same answers written by the largest model, token for token.

    Attributes:
        compute_ratio: share of the seconds of writing; below 0 for a loss.
        latency_reduction_s: seconds less of writing a request, on average.
    """

    compute_ratio: float
    latency_reduction_s: float


class RoutingStats:
    """Counts routed requests by model and works out what routing saved; safe to use from threads.

    Args:
        models: names of the routed models, smallest first; the last is what everything would have
            run on without a router.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        self._models = list(models)
        self._counts: dict[str, int] = {}
        self._subtasks: dict[str, int] = {}
        self._tokens: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._dropped_tokens: dict[str, int] = {}
        self._paces: dict[str, tuple[float, float]] = {}  # tokens, and the seconds they took
        self._routing_s = 0.0
        self._lock = Lock()

    def count(self, model: str, routing_s: float, completion_tokens: int) -> None:
        """Count one routed request, however it ended.

        Args:
            model: who answered, or failed last; for a message of several tasks, the highest model
                at work.
            routing_s: seconds the decision took.
            completion_tokens: tokens of the answer that `model` wrote, save for what
                `count_subtask` counts; 0 if the request failed.
        """
        with self._lock:
            self._counts[model] = self._counts.get(model, 0) + 1
            self._tokens[model] = self._tokens.get(model, 0) + completion_tokens
            self._routing_s += routing_s

    def count_subtask(self, model: str, completion_tokens: int) -> None:
        """Count one task of a message that asked for several; the message counts by itself."""
        with self._lock:
            self._subtasks[model] = self._subtasks.get(model, 0) + 1
            self._tokens[model] = self._tokens.get(model, 0) + completion_tokens

    def count_dropped(self, model: str, completion_tokens: int) -> None:
        """Count an answer dropped for a stronger model's; its tokens were spent as well."""
        with self._lock:
            self._dropped[model] = self._dropped.get(model, 0) + 1
            spent = self._dropped_tokens.get(model, 0)
            self._dropped_tokens[model] = spent + completion_tokens

    def observe_speed(self, model: str, tokens: int, seconds: float) -> None:
        """Take in how long a model needed for `tokens` tokens; the latest ones weigh most."""
        if tokens <= 0 or seconds <= 0:
            return
        with self._lock:
            seen, seen_s = self._paces.get(model, (0.0, 0.0))
            if seen + tokens > _SPEED_TOKENS:
                weight = _SPEED_TOKENS / (seen + tokens)
                seen, seen_s = seen * weight, seen_s * weight
            self._paces[model] = seen + tokens, seen_s + seconds

    def forget_speed(self, model: str) -> None:
        """Know nothing of how fast a model is: another has come under its name."""
        with self._lock:
            self._paces.pop(model, None)

    @property
    def largest(self) -> str | None:
        """The model that everything would have run on without a router; None where nothing is."""
        return self._models[-1] if self._models else None

    def paces(self) -> Paces:
        """Return how long models take for a token, as far as that has been seen."""
        with self._lock:
            return self._seconds_per_token()

    def snapshot(self) -> dict[str, Any]:
        """Return the document's `/v1/routing/stats`.

        `estimated_savings` is null until the speed of the largest model, and of every model that
        answered, has been seen. Beside the documented fields, `subtasks` tells where the tasks of
        messages that asked for several went, and `escalations` how often which model was not sure.
        """
        with self._lock:
            total = sum(self._counts.values())
            savings = self._savings()
            return {
                "total_requests": total,
                "routing_distribution": self._distribution(self._counts),
                "avg_routing_latency_us": round(self._routing_s / total * 1e6) if total else 0,
                "estimated_savings": _worded(savings) if savings else None,
                "subtasks": {
                    "total": sum(self._subtasks.values()),
                    "distribution": self._distribution(self._subtasks),
                },
                "escalations": {"total": sum(self._dropped.values()), "from": dict(self._dropped)},
            }

    def savings(self) -> Savings | None:
        """Return what routing saved; None as long as a speed is missing to tell."""
        with self._lock:
            return self._savings()

    def _distribution(self, seen: Mapping[str, int]) -> dict[str, dict[str, float]]:
        counts = {"tier0_deterministic": seen.get("tier0", 0)}
        counts |= {name: seen.get(name, 0) for name in self._models}
        counts |= {n: c for n, c in seen.items() if n not in counts and n != "tier0"}
        shares = percentages(counts)
        return {
            name: {"count": count, "percentage": shares[name]} for name, count in counts.items()
        }

    def _seconds_per_token(self) -> Paces:
        return {model: seconds / tokens for model, (tokens, seconds) in self._paces.items()}

    def _savings(self) -> Savings | None:
        speeds = self._seconds_per_token()
        wrote = [*self._tokens.items(), *self._dropped_tokens.items()]
        timed = all(model in speeds for model, tokens in wrote if tokens)
        requests = sum(self._counts.values())
        if not self._models or self._models[-1] not in speeds or not timed or not requests:
            return None
        spent_s = sum(tokens * speeds[model] for model, tokens in wrote if tokens)
        instead_s = sum(self._tokens.values()) * speeds[self._models[-1]]
        return Savings(
            1 - spent_s / instead_s if instead_s else 0.0, (instead_s - spent_s) / requests
        )


def _worded(savings: Savings) -> dict[str, Any]:
    """Return savings in the document's words; a loss is a negative saving."""
    return {
        "vs_largest_model_only": f"{round(savings.compute_ratio * 100)}% fewer compute-seconds",
        "avg_latency_reduction_ms": round(savings.latency_reduction_s * 1000),
    }


def percentages(counts: Mapping[str, int]) -> dict[str, float]:
    """Return shares in percent with one decimal that add up to 100, by largest remainder.

    Example:
        >>> percentages({"a": 1, "b": 1, "c": 1})
        {'a': 33.4, 'b': 33.3, 'c': 33.3}
    """
    total = sum(counts.values())
    if not total:
        return dict.fromkeys(counts, 0.0)
    tenths = {name: count * 1000 // total for name, count in counts.items()}
    by_remainder = sorted(counts, key=lambda name: -(counts[name] * 1000 % total))
    for name in by_remainder[: 1000 - sum(tenths.values())]:
        tenths[name] += 1
    return {name: value / 10 for name, value in tenths.items()}
