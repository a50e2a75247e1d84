"""The query router: messages in, a decision out. Pure; the server and the SDK both call it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octomil.errors import ConfigurationError, NoModelAvailableError
from octomil.routing import complexity
from octomil.routing.deterministic import DeterministicAnswer, DeterministicTier
from octomil.routing.tiers import BALANCED, FAST, QUALITY, TIER_NUMBERS, ModelInfo

STRATEGIES = ("complexity",)

TIER0_MODEL = "tier0"
"""The model name that stands for an answer without any model."""

_NEAREST = {
    FAST: (FAST, BALANCED, QUALITY),
    BALANCED: (BALANCED, QUALITY, FAST),
    QUALITY: (QUALITY, BALANCED, FAST),
}


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a query goes, and why.

    Attributes:
        model_name: the chosen model, or `tier0`.
        complexity_score: 0.0 to 1.0.
        tier: `deterministic`, `fast`, `balanced` or `quality`.
        fallback_chain: models to try next, in order.
        reason: one clause for people.
        deterministic: the answer itself, where no model is needed.
    """

    model_name: str
    complexity_score: float
    tier: str
    fallback_chain: tuple[str, ...] = ()
    reason: str = ""
    deterministic: DeterministicAnswer | None = None

    @property
    def tier_number(self) -> int:
        """The tier as `X-Octomil-Routing-Tier` says it: 0 to 3."""
        return TIER_NUMBERS[self.tier]


class QueryRouter:
    """Send each query to the cheapest model that should be able to answer it.

    Args:
        models: name to `ModelInfo`, smallest first.
        strategy: `complexity`.
        thresholds: scores at which `fast` ends and `quality` begins.
        enable_deterministic: answer arithmetic and unit conversions without a model.

    Raises:
        ConfigurationError: no models, an unknown strategy, or thresholds out of order.
    """

    def __init__(
        self,
        models: Mapping[str, ModelInfo],
        strategy: str = "complexity",
        thresholds: tuple[float, float] = (0.3, 0.7),
        enable_deterministic: bool = True,
        *,
        scorer: Callable[[Sequence[Mapping[str, Any]]], float] = complexity.score,
    ) -> None:
        if not models:
            raise ConfigurationError("a router needs at least one model")
        if strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise ConfigurationError(f"unknown strategy {strategy!r}; known: {known}")
        low, high = thresholds
        if not 0.0 <= low <= high <= 1.0:
            raise ConfigurationError(
                f"thresholds must ascend between 0 and 1, got ({low:g}, {high:g})"
            )
        self.models = dict(models)
        self.strategy = strategy
        self.thresholds = (low, high)
        self.deterministic = DeterministicTier() if enable_deterministic else None
        self._score = scorer
        self._by_tier: dict[str, tuple[str, ...]] = {
            tier: tuple(m.name for m in models.values() if m.tier == tier) for tier in _NEAREST
        }

    def route(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        allowed: Collection[str] | None = None,
        plain_text: bool = True,
    ) -> RoutingDecision:
        """Decide which model answers.

        Args:
            messages: OpenAI-style messages, oldest first.
            allowed: the models that can take this request at all; None means every model.
            plain_text: whether any well-formed text is an acceptable answer. Requests with tools
                or a response format need a model, so the deterministic tier leaves them alone.

        Raises:
            NoModelAvailableError: `allowed` leaves no model.
        """
        if plain_text and self.deterministic is not None and _is_single_question(messages):
            answer = self.deterministic.check(complexity.text_of(messages[-1].get("content")))
            if answer is not None:
                return RoutingDecision(TIER0_MODEL, 0.0, "deterministic", (), answer.method, answer)
        value = self._score(messages)
        low, high = self.thresholds
        wanted = FAST if value < low else BALANCED if value < high else QUALITY
        for tier in _NEAREST[wanted]:
            for name in self._by_tier[tier]:
                if allowed is None or name in allowed:
                    chain = self._chain(name, allowed)
                    return RoutingDecision(name, value, tier, chain, f"score {value:.2f}")
        raise NoModelAvailableError("none of the served models can take this request")

    def get_fallback(self, model_name: str) -> str | None:
        """Return the model to try when `model_name` fails: the next one up, else down, else None.

        Raises:
            NoModelAvailableError: the router has no model of that name.
        """
        if model_name not in self.models:
            known = ", ".join(self.models)
            raise NoModelAvailableError(f"no model {model_name!r} to fall back from; have {known}")
        chain = self._chain(model_name, None)
        return chain[0] if chain else None

    def _chain(self, name: str, allowed: Collection[str] | None) -> tuple[str, ...]:
        """List the models above `name`, nearest first, then those below, nearest first."""
        order = [n for n in self.models if n == name or allowed is None or n in allowed]
        at = order.index(name)
        return tuple(order[at + 1 :] + order[:at][::-1])


def _is_single_question(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the last user message stands alone: no system prompt bends its answer."""
    return (
        bool(messages)
        and messages[-1].get("role") == "user"
        and all(message.get("role") in ("user", "assistant") for message in messages)
    )
