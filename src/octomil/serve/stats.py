"""Routing statistics, in the documented shape."""

from collections.abc import Mapping, Sequence
from typing import Any

_SMOOTHING = 0.2


class RoutingStats:
    """Counts requests by model and works out what routing saved.

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
        self._seconds_per_token: dict[str, float] = {}
        self._routing_s = 0.0

    def count(self, model: str, routing_s: float, completion_tokens: int) -> None:
        """Count one answered request.

        Args:
            model: who answered; for a message of several tasks, the highest model at work.
            routing_s: seconds the decision took.
            completion_tokens: tokens that `model` wrote, save for what `count_subtask` counts.
        """
        self._counts[model] = self._counts.get(model, 0) + 1
        self._tokens[model] = self._tokens.get(model, 0) + completion_tokens
        self._routing_s += routing_s

    def count_subtask(self, model: str, completion_tokens: int) -> None:
        """Count one task of a message that asked for several; the message counts by itself."""
        self._subtasks[model] = self._subtasks.get(model, 0) + 1
        self._tokens[model] = self._tokens.get(model, 0) + completion_tokens

    def count_dropped(self, model: str, completion_tokens: int) -> None:
        """Count an answer dropped for a stronger model's; its tokens were spent as well."""
        self._dropped[model] = self._dropped.get(model, 0) + 1
        spent = self._dropped_tokens.get(model, 0)
        self._dropped_tokens[model] = spent + completion_tokens

    def observe_speed(self, model: str, tokens: int, seconds: float) -> None:
        """Take in how long a model needed for `tokens` tokens."""
        if tokens <= 0 or seconds <= 0:
            return
        sample = seconds / tokens
        before = self._seconds_per_token.get(model, sample)
        self._seconds_per_token[model] = before + _SMOOTHING * (sample - before)

    def snapshot(self) -> dict[str, Any]:
        """Return the document's `/v1/routing/stats`.

        `estimated_savings` is null until the speed of the largest model, and of every model that
        answered, has been seen. Beside the
        documented fields, `subtasks` tells where the tasks of messages that asked for several went,
        and `escalations` how often which model was not sure.
        """
        total = sum(self._counts.values())
        return {
            "total_requests": total,
            "routing_distribution": self._distribution(self._counts),
            "avg_routing_latency_us": round(self._routing_s / total * 1e6) if total else 0,
            "estimated_savings": self._savings(),
            "subtasks": {
                "total": sum(self._subtasks.values()),
                "distribution": self._distribution(self._subtasks),
            },
            "escalations": {"total": sum(self._dropped.values()), "from": dict(self._dropped)},
        }

    def _distribution(self, seen: Mapping[str, int]) -> dict[str, dict[str, float]]:
        counts = {"tier0_deterministic": seen.get("tier0", 0)}
        counts |= {name: seen.get(name, 0) for name in self._models}
        counts |= {n: c for n, c in seen.items() if n not in counts and n != "tier0"}
        shares = percentages(counts)
        return {
            name: {"count": count, "percentage": shares[name]} for name, count in counts.items()
        }

    def _savings(self) -> dict[str, Any] | None:
        """Compare with the same answers written by the largest model, token for token."""
        speeds = self._seconds_per_token
        wrote = [*self._tokens.items(), *self._dropped_tokens.items()]
        timed = all(model in speeds for model, tokens in wrote if tokens)
        requests = sum(self._counts.values())
        if not self._models or self._models[-1] not in speeds or not timed or not requests:
            return None
        spent = sum(tokens * speeds[model] for model, tokens in wrote if tokens)
        instead = sum(self._tokens.values()) * speeds[self._models[-1]]
        saved = 1 - spent / instead if instead else 0.0
        return {  # the document's words; a loss is a negative saving
            "vs_largest_model_only": f"{saved * 100:.0f}% fewer compute-seconds",
            "avg_latency_reduction_ms": round((instead - spent) / requests * 1000),
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
