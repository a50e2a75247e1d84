"""The serving node: its models, their engines and queues, and who answers what."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from octomil.batch import QueueStats, RequestQueue
from octomil.engines.base import Endpoint, Engine, GenerationRequest
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState
from octomil.errors import (
    InvalidRequestError,
    OctomilError,
    QueueFullError,
    QueueTimeoutError,
    UnknownModelError,
)
from octomil.routing.candidates import Candidates
from octomil.routing.conversations import Conversations
from octomil.routing.requests import (
    Needs,
    answers_within,
    may_split,
    messages_of,
    needs_of,
    takes_plain_text,
)
from octomil.routing.router import QueryRouter, RoutingDecision
from octomil.routing.tiers import FAST
from octomil.serve.breakers import Breakers
from octomil.serve.logprob_support import LogprobSupport
from octomil.serve.needs import PARAMS, WORDS, first_missing
from octomil.serve.on_demand import OnDemand
from octomil.serve.recorder import Recorder
from octomil.serve.release_usage import ReleaseUsages
from octomil.serve.served import ServedModel
from octomil.serve.till import Till
from octomil.serve.token_estimates import context_tokens
from octomil.serve.turnstile import Turnstile

AUTO = "auto"


@dataclass(slots=True, kw_only=True)
class Node:
    """Everything the endpoints need, wired together by `octomil.compose`.

    Attributes:
        models: by name, in the order of `--models`; those that came on demand follow.
        router: decides for `model: "auto"`; None sends everything to the first model.
        embedder: the model for embeddings requests that name none.
        short_names: other names of served models.
        max_queue: requests that may wait for each model.
        fallback: whether an unsure answer is tried again on the next model.
        decompose: whether each task of a message that asks for several is routed by itself.
        till: what models cost, and may cost.
        breakers: which engines are not asked because they keep failing.
        logprobs: which engines tell log-probabilities.
        conversations: which model leads which conversation.
        usages: how the releases fare that are served.
        on_demand: brings models that are not served yet; None where nothing but `models` is.
    """

    models: dict[str, ServedModel]
    pool: EnginePool
    recorder: Recorder
    router: QueryRouter | None = None
    embedder: str | None = None
    short_names: Mapping[str, str] = field(default_factory=dict)
    max_queue: int = 32
    queue_timeout_s: float = 60.0
    fallback: bool = False
    decompose: bool = True
    till: Till = field(default_factory=Till)
    breakers: Breakers = field(default_factory=Breakers)
    logprobs: LogprobSupport = field(default_factory=LogprobSupport)
    conversations: Conversations = field(default_factory=Conversations)
    usages: ReleaseUsages = field(default_factory=ReleaseUsages)
    on_demand: OnDemand | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _turnstiles: dict[str, Turnstile] = field(default_factory=dict)
    _able: dict[Needs, dict[str, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool.on_ready(self.breakers.engine_is_ready)
        self.pool.on_ready(self.logprobs.forget)
        self.pool.on_ready(self._forget_able)
        self.pool.on_ready(self._open_turnstile)

    def turnstile(self, name: str) -> Turnstile:
        """Return the queue in front of a model, made with the first request for it."""
        turnstile = self._turnstiles.get(name)
        if turnstile is None:
            slots = self.pool[name].engine.capabilities.max_concurrency
            queue = RequestQueue(self.max_queue, self.queue_timeout_s, max_concurrency=slots)
            queue.start()
            turnstile = self._turnstiles[name] = Turnstile(queue)
        return turnstile

    def _open_turnstile(self, name: str) -> None:
        """Let as many through as the engine takes at once, now that it is known."""
        if name in self._turnstiles:
            slots = self.pool[name].engine.capabilities.max_concurrency
            self._turnstiles[name].queue.resize(slots)

    def retry_after_s(self, error: OctomilError, model: str) -> float | None:
        """Tell when to come back after `error`, if the queue of `model` is why."""
        if isinstance(error, QueueFullError | QueueTimeoutError):
            return self.turnstile(model).retry_after_s()
        return None

    def choose(
        self, endpoint: Endpoint, body: Mapping[str, Any], named: str
    ) -> tuple[RoutingDecision, float]:
        """Decide who answers a request, and tell how many seconds that took.

        Args:
            endpoint: which shape `body` has.
            body: the checked request.
            named: the model the client asks for, or `auto`.

        Raises:
            UnknownModelError: no such model is served.
            NoModelAvailableError: no served model can take the request.
            InvalidRequestError: the named model cannot do what is asked.
        """
        start = perf_counter()
        if named != AUTO:
            decision = self._named(endpoint, body, self.short_names.get(named, named))
        elif self.router is None:
            decision = self._named(endpoint, body, self._first())
        else:
            needs, messages = needs_of(endpoint, body), messages_of(endpoint, body)
            contexts = self._able.get(needs) or self._find_able(needs)
            allowed = _fitting(contexts, body, messages)
            plain = takes_plain_text(needs, body)
            route = self.router.route
            if self.decompose and may_split(body):
                route = partial(self.router.route_decomposed, max_answers=answers_within(body))
            leader = self.conversations.leader(messages)
            decision = route(messages, allowed=allowed, plain_text=plain, leader=leader)
        return decision, perf_counter() - start

    def candidates(
        self, decision: RoutingDecision, body: Mapping[str, Any], *, doubting: bool
    ) -> Candidates:
        """Return the models to ask for a request, in order.

        Args:
            decision: where the request goes.
            body: the request.
            doubting: whether an unsure answer is dropped where a stronger model could be asked.
        """

        def can_be_asked(name: str) -> bool:
            is_ready = self.pool[name].state is EngineState.READY
            return is_ready and self.breakers.admits(name) and self.till.can_afford(name, body)

        order = tuple(self.models)
        return Candidates(decision, order, doubting=doubting, can_be_asked=can_be_asked)

    def remember(self, request: GenerationRequest, model: str) -> None:
        """Note who answered, so that a follow-up goes to no weaker model."""
        self.conversations.remember(messages_of(request.endpoint, request.body), model)

    async def bring(self, named: str, *, embeds: bool = False) -> None:
        """See to it that the model a request names is loaded, where that is done on demand.

        Args:
            named: by the client; `auto` means none.
            embeds: whether it is asked for vectors, and not for text.

        Raises what `OnDemand.bring` raises.
        """
        if self.on_demand is not None and named != AUTO:
            await self.on_demand.bring(named, embeds=embeds)

    def _first(self) -> str:
        """Return the model for requests that name none.

        Raises:
            UnknownModelError: there is none.
        """
        for name in self.models:
            if not self.pool[name].lazy:
                return name
        raise UnknownModelError("the request names no model, and this node serves none by itself")

    def _named(self, endpoint: Endpoint, body: Mapping[str, Any], name: str) -> RoutingDecision:
        if name not in self.models:
            known = ", ".join([AUTO, *self.models])
            raise UnknownModelError(f"no model {name!r} is served here; served: {known}")
        missing = first_missing(self.pool[name].engine.capabilities, needs_of(endpoint, body))
        if missing:
            raise InvalidRequestError(self._cannot(name, missing), param=PARAMS.get(missing))
        info = self.router.models.get(name) if self.router else None
        return RoutingDecision(name, 0.0, info.tier if info else FAST, (), "named by the client")

    def _find_able(self, needs: Needs) -> dict[str, int | None]:
        """Return the contexts of the routed models that meet all `needs`, and remember them.

        Raises:
            InvalidRequestError: there is a need that none of them meets.
        """
        assert self.router is not None
        known = ((name, self.pool[name].engine.capabilities) for name in self.router.models)
        able = {name: c.context_tokens for name, c in known if not first_missing(c, needs)}
        if not able:
            self._refuse(needs)
        self._able[needs] = able
        return able

    def _forget_able(self, _name: str) -> None:
        """An engine that has been loaded knows better what it can do."""
        self._able.clear()

    def _refuse(self, needs: Needs) -> None:
        """Say which need no routed model meets, if it is a single one."""
        assert self.router is not None
        engines = [self.pool[name].engine for name in self.router.models]
        for need in needs:
            if all(first_missing(engine.capabilities, (need,)) for engine in engines):
                message = f"no served model can do {WORDS[need]}"
                raise InvalidRequestError(message, param=PARAMS.get(need))

    def _cannot(self, name: str, missing: str) -> str:
        others = [
            other
            for other in self.models
            if not first_missing(self.pool[other].engine.capabilities, (missing,))
        ]
        way_out = f"; ask {' or '.join(others)}" if others else "; no served model can"
        return f"model {name!r} cannot do {WORDS[missing]}{way_out}"

    def embedding_model(self, named: str) -> str:
        """Return the embedding model a request means.

        Raises:
            UnknownModelError: there is none of that name, or none at all.
        """
        name = self.short_names.get(named, named)
        if name == AUTO and self.embedder:
            name = self.embedder
        if name not in self.models:
            known = ", ".join(n for n in self.models if self._embeds(n))
            raise UnknownModelError(f"no embedding model {named!r} is served; served: {known}")
        return name

    def require_embeddings(self, name: str) -> None:
        """Check that a model, once loaded, makes vectors.

        Raises:
            InvalidRequestError: it does not.
        """
        if not self._embeds(name):
            raise InvalidRequestError(self._cannot(name, "embeddings"), param="model")

    def _embeds(self, name: str) -> bool:
        return self.pool[name].engine.capabilities.embeddings

    def is_ready(self) -> bool:
        """Tell whether every model that is loaded at start can answer."""
        return all(e.lazy or e.state is EngineState.READY for _, e in self.pool)

    def queues(self) -> dict[str, QueueStats]:
        """Return how busy the queue of each model is that was asked before."""
        return {name: turnstile.queue.stats() for name, turnstile in self._turnstiles.items()}

    def routing_stats(self) -> dict[str, Any]:
        """Return where requests went, and how often tier 0 answered or passed from memory."""
        stats = self.recorder.stats.snapshot()
        tier0 = self.router.deterministic if self.router is not None else None
        if tier0 is not None:
            stats["tier0_cache"] = {"hits": tier0.hits, "misses": tier0.misses}
        return stats

    def queue_stats(self) -> dict[str, Any]:
        """Return how busy each model's queue is, and all of them together."""
        models = {
            name: {
                "pending": s.pending,
                "active": s.active,
                "max_depth": s.max_depth,
                "max_concurrency": s.max_concurrency,
                "completed": s.completed,
                "rejected": s.rejected,
                "timed_out": s.timed_out,
            }
            for name, s in self.queues().items()
        }
        totals = {
            key: sum(stats[key] for stats in models.values())
            for key in ("pending", "active", "completed", "rejected", "timed_out")
        }
        return {**totals, "max_depth": self.max_queue, "models": models}

    async def close(self) -> None:
        """Let running requests finish, refuse the rest, and end the engines."""
        for turnstile in self._turnstiles.values():
            await turnstile.queue.stop()
        if self.on_demand is not None:
            await self.on_demand.close()
        await self.pool.close()
        self.till.close()
        if self.recorder.audit is not None:
            self.recorder.audit.close()

    def engines(self) -> Iterator[tuple[str, Engine]]:
        """Iterate over names and engines."""
        for name, entry in self.pool:
            yield name, entry.engine


def _fitting(
    contexts: Mapping[str, int | None],
    body: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
) -> Collection[str]:
    """Leave out models whose context is too small, unless that leaves none.

    Args:
        contexts: tokens by model; None where that is not known.
        body: the request.
        messages: its conversation.
    """
    if not any(contexts.values()):
        return contexts
    needed = context_tokens(body, messages)
    fitting = {name for name, limit in contexts.items() if limit is None or needed <= limit}
    return fitting or contexts
