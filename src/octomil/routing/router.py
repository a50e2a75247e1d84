"""The query router: messages in, a decision out. Pure; the server and the SDK both call it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octomil.errors import ConfigurationError, NoModelAvailableError
from octomil.routing import complexity
from octomil.routing.decompose import MAX_CHARS, SubTask, decompose
from octomil.routing.deterministic import DeterministicAnswer, DeterministicTier
from octomil.routing.features import text_of
from octomil.routing.system_prompts import is_neutral
from octomil.routing.tiers import BALANCED, FAST, QUALITY, TIER_NUMBERS, ModelInfo
from octomil.routing.wishes import MAX_MESSAGES, bend_later_answers

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


@dataclass(frozen=True, slots=True)
class DecomposedDecision(RoutingDecision):
    """Where the tasks of one message go; model, tier and score are those of the hardest task.

    Attributes:
        tasks: what the message asks for, in its order.
        sub_decisions: where each task goes, in the same order.
    """

    tasks: tuple[SubTask, ...] = ()
    sub_decisions: tuple[RoutingDecision, ...] = ()


class QueryRouter:
    """Send each query to the cheapest model that should be able to answer it.

    Args:
        models: name to `ModelInfo`, smallest first.
        strategy: `complexity`.
        thresholds: scores at which `fast` ends and `quality` begins.
        enable_deterministic: answer arithmetic and unit conversions without a model.
        scorer: scores conversations from 0 to 1, in place of the complexity model.
        model_path: a file that `octomil route calibrate` wrote; the complexity model that ships
            if None.

    Raises:
        ConfigurationError: no models, an unknown strategy, thresholds out of order, or no sound
            file at `model_path`.
    """

    def __init__(
        self,
        models: Mapping[str, ModelInfo],
        strategy: str = "complexity",
        thresholds: tuple[float, float] = (0.3, 0.7),
        enable_deterministic: bool = True,
        *,
        scorer: Callable[[Sequence[Mapping[str, Any]]], float] | None = None,
        model_path: str | Path | None = None,
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
        self._score = scorer or complexity.scorer(None if model_path is None else Path(model_path))
        self._by_tier: dict[str, tuple[str, ...]] = {
            tier: tuple(m.name for m in models.values() if m.tier == tier) for tier in _NEAREST
        }
        order = tuple(self.models)
        self._chains: dict[str, tuple[str, ...]] = {
            name: order[at + 1 :] + order[:at][::-1] for at, name in enumerate(order)
        }
        """By name: the models above it, nearest first, then those below, nearest first."""

    def route(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        allowed: Collection[str] | None = None,
        plain_text: bool = True,
        leader: str | None = None,
    ) -> RoutingDecision:
        """Decide which model answers.

        Args:
            messages: OpenAI-style messages, oldest first.
            allowed: the models that can take this request at all; None means every model.
            plain_text: whether any well-formed text is an acceptable answer. Requests with tools
                or a response format need a model, so the deterministic tier leaves them alone.
            leader: the model that answered what this one follows up on; it goes to no weaker one.

        Raises:
            NoModelAvailableError: `allowed` leaves no model.
        """
        if plain_text and _is_single_question(messages):
            text = text_of(messages[-1].get("content"))
            return self._route_whole(text, messages, allowed, leader)
        return self._choose(messages, allowed, leader)

    def _route_whole(
        self,
        text: str,
        messages: Sequence[Mapping[str, Any]],
        allowed: Collection[str] | None,
        leader: str | None,
    ) -> RoutingDecision:
        """Answer the text of the last message exactly, or choose the model that answers it."""
        exact = self._answer_exactly(text)
        if exact is not None and not bend_later_answers(messages):
            return exact
        return self._choose(messages, allowed, leader)

    def _answer_exactly(self, text: str) -> RoutingDecision | None:
        """Answer without any model, where that can be done."""
        answer = None if self.deterministic is None else self.deterministic.check(text)
        if answer is None:
            return None
        return RoutingDecision(TIER0_MODEL, 0.0, "deterministic", (), answer.method, answer)

    def _choose(
        self,
        messages: Sequence[Mapping[str, Any]],
        allowed: Collection[str] | None,
        leader: str | None,
    ) -> RoutingDecision:
        """Choose the model that answers the last message."""
        value = self._score(messages)
        low, high = self.thresholds
        wanted = FAST if value < low else BALANCED if value < high else QUALITY
        if leader in self.models and (allowed is None or leader in allowed):
            tier = self.models[leader].tier
            if TIER_NUMBERS[tier] >= TIER_NUMBERS[wanted]:
                chain = self._chain(leader, allowed)
                return RoutingDecision(leader, value, tier, chain, "follows up on its answer")
        for tier in _NEAREST[wanted]:
            for name in self._by_tier[tier]:
                if allowed is None or name in allowed:
                    chain = self._chain(name, allowed)
                    return RoutingDecision(name, value, tier, chain, f"score {value:.2f}")
        raise NoModelAvailableError("none of the served models can take this request")

    def route_decomposed(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        allowed: Collection[str] | None = None,
        plain_text: bool = True,
        leader: str | None = None,
        max_answers: int | None = None,
    ) -> RoutingDecision:
        """Decide which model answers each task of the last message; arguments as in `route`.

        Args:
            messages: as in `route`.
            allowed: as in `route`.
            plain_text: as in `route`.
            leader: as in `route`.
            max_answers: how many answers of models the request's tokens are enough for; a message
                that needs more stays whole.

        Returns:
            A `DecomposedDecision`, or what `route` returns where there is one task.

        Raises:
            NoModelAvailableError: `allowed` leaves no model.

        Example:
            >>> from octomil.routing.tiers import assign_tiers
            >>> router = QueryRouter(assign_tiers(["small", "large"]))
            >>> text = "What is the capital of Peru? Also, calculate 20% of 350."
            >>> decision = router.route_decomposed([{"role": "user", "content": text}])
            >>> [sub.model_name for sub in decision.sub_decisions]
            ['small', 'tier0']
        """
        if not (plain_text and _is_single_question(messages)):
            return self._choose(messages, allowed, leader)
        text = text_of(messages[-1].get("content"))
        tasks = decompose(text)
        if len(tasks) == 1:
            return self._route_whole(text, messages, allowed, leader)
        if bend_later_answers(messages):
            return self._choose(messages, allowed, leader)
        parts = self._decide_each(tasks, messages, allowed, leader)
        needed = sum(part.deterministic is None for part in parts)
        if max_answers is not None and needed > max_answers:
            return self._answer_exactly(text) or self._choose(messages, allowed, leader)
        hardest = max(parts, key=lambda part: (part.tier_number, part.complexity_score))
        return DecomposedDecision(
            hardest.model_name,
            hardest.complexity_score,
            hardest.tier,
            hardest.fallback_chain,
            f"{len(tasks)} tasks",
            tasks=tasks,
            sub_decisions=tuple(parts),
        )

    def _decide_each(
        self,
        tasks: Sequence[SubTask],
        messages: Sequence[Mapping[str, Any]],
        allowed: Collection[str] | None,
        leader: str | None,
    ) -> list[RoutingDecision]:
        """Decide for each task of the last message; one that leans on another follows its model."""
        parts: list[RoutingDecision] = []
        for task in tasks:
            alone = [*messages[:-1], {**messages[-1], "content": task.text}]
            if task.depends_on is None:
                exact = self._answer_exactly(task.text)
                parts.append(exact or self._choose(alone, allowed, leader))
            else:  # not exact: `divide 10 by 4` may mean another 10 once it follows an answer
                earlier = parts[task.depends_on].model_name
                parts.append(self._choose(alone, allowed, earlier))
        return parts

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
        chain = self._chains[name]
        return chain if allowed is None else tuple([n for n in chain if n in allowed])


def _is_single_question(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the last user message stands alone: no system prompt bends its answer."""
    if not messages or messages[-1].get("role") != "user":
        return False
    content = messages[-1].get("content")
    if isinstance(content, list) and len(content) > MAX_CHARS:
        return False  # so many parts are a document
    if len(messages) == 1:
        return True
    return len(messages) <= MAX_MESSAGES and all(map(_leaves_answers_alone, messages))


def _leaves_answers_alone(message: Mapping[str, Any]) -> bool:
    role = message.get("role")
    if role in ("system", "developer"):
        return is_neutral(text_of(message.get("content")))
    return role in ("user", "assistant")
