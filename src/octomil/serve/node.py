"""The serving node: its models, their engines and queues, and who answers what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from octomil.batch import RequestQueue
from octomil.engines.base import Endpoint, Engine
from octomil.engines.pool import EnginePool, EngineState
from octomil.errors import (
    InvalidRequestError,
    OctomilError,
    QueueFullError,
    QueueTimeoutError,
    UnknownModelError,
)
from octomil.routing.router import QueryRouter, RoutingDecision
from octomil.routing.tiers import FAST
from octomil.serve.metrics import Gauge, Labels, exposition
from octomil.serve.needs import PARAMS, WORDS, Needs, first_missing, needs_of
from octomil.serve.observation import Recorder

AUTO = "auto"

_SMOOTHING = 0.2
_CHARS_PER_TOKEN = 3  # cautious: English text has about four


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model clients can name.

    Attributes:
        name: the name requests use.
        parameters: how many it has; None where unknown.
        owned_by: what runs it, for `/v1/models`.
        local: whether this machine runs it, so that its speed can be measured at no price.
        cost_usd: price of one answer to nobody; 0 for a local model, None where unknown.
    """

    name: str
    parameters: int | None = None
    owned_by: str = "octomil"
    local: bool = True

    @property
    def cost_usd(self) -> float | None:
        """What an answer costs: nothing on this machine, unknown elsewhere."""
        return 0.0 if self.local else None


@dataclass(slots=True)
class Turnstile:
    """A model's queue and how long its turns last."""

    queue: RequestQueue
    mean_turn_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """Take in how long one turn lasted."""
        before = self.mean_turn_s or seconds
        self.mean_turn_s = before + _SMOOTHING * (seconds - before)

    def retry_after_s(self) -> float:
        """Estimate when a place in the queue will be free."""
        return min(60.0, max(1.0, self.mean_turn_s / self.queue.max_concurrency))


@dataclass(slots=True, kw_only=True)
class Node:
    """Everything the endpoints need, wired together by `octomil.compose`.

    Attributes:
        models: by name, in the order of `--models`.
        router: decides for `model: "auto"`; None sends everything to the first model.
        embedder: the model for embeddings requests that name none.
        short_names: other names of served models.
        max_queue: requests that may wait for each model.
        fallback: whether an unsure answer is tried again on the next model.
    """

    models: Mapping[str, ServedModel]
    pool: EnginePool
    recorder: Recorder
    router: QueryRouter | None = None
    embedder: str | None = None
    short_names: Mapping[str, str] = field(default_factory=dict)
    max_queue: int = 32
    queue_timeout_s: float = 60.0
    fallback: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _turnstiles: dict[str, Turnstile] = field(default_factory=dict)

    def turnstile(self, name: str) -> Turnstile:
        """Return the queue in front of a model, made when its engine is first ready."""
        turnstile = self._turnstiles.get(name)
        if turnstile is None:
            slots = self.pool[name].engine.capabilities.max_concurrency
            queue = RequestQueue(self.max_queue, self.queue_timeout_s, max_concurrency=slots)
            queue.start()
            turnstile = self._turnstiles[name] = Turnstile(queue)
        return turnstile

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
            decision = self._named(endpoint, body, next(iter(self.models)))
        else:
            needs = needs_of(endpoint, body)
            able = {
                name
                for name in self.router.models
                if not first_missing(self.pool[name].engine.capabilities, needs)
            }
            if not able:
                self._refuse(needs)
            plain = needs == ("chat",) and (body.get("n") or 1) == 1
            messages = _messages(endpoint, body)
            allowed = self._fitting(able, messages)
            decision = self.router.route(messages, allowed=allowed, plain_text=plain)
        return decision, perf_counter() - start

    def _named(self, endpoint: Endpoint, body: Mapping[str, Any], name: str) -> RoutingDecision:
        if name not in self.models:
            known = ", ".join([AUTO, *self.models])
            raise UnknownModelError(f"no model {name!r} is served here; served: {known}")
        missing = first_missing(self.pool[name].engine.capabilities, needs_of(endpoint, body))
        if missing:
            raise InvalidRequestError(self._cannot(name, missing), param=PARAMS.get(missing))
        info = self.router.models.get(name) if self.router else None
        return RoutingDecision(name, 0.0, info.tier if info else FAST, (), "named by the client")

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

    def _fitting(self, able: set[str], messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """Leave out models whose context is too small, unless that leaves none."""
        chars = sum(len(str(m.get("content") or "")) for m in messages)
        fitting = {
            name
            for name in able
            if (limit := self.pool[name].engine.capabilities.context_tokens) is None
            or chars <= limit * _CHARS_PER_TOKEN
        }
        return fitting or able

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
            for name, turnstile in self._turnstiles.items()
            for s in (turnstile.queue.stats(),)
        }
        totals = {
            key: sum(stats[key] for stats in models.values())
            for key in ("pending", "active", "completed", "rejected", "timed_out")
        }
        return {**totals, "max_depth": self.max_queue, "models": models}

    async def metrics_text(self) -> str:
        """Return everything worth watching, in Prometheus' text format."""
        busy = {
            name: await entry.engine.busy()
            for name, entry in self.pool
            if entry.state is EngineState.READY
        }
        return exposition([*self.recorder.metrics, *self._gauges(busy)])

    def _gauges(self, busy: Mapping[str, int]) -> Iterable[Gauge]:
        label = ("model_name",)
        queues = {name: t.queue.stats() for name, t in self._turnstiles.items()}
        yield _gauge("num_requests_running", "Requests that engines work on.", label,
                     {(n,): q.active for n, q in queues.items()})  # fmt: skip
        yield _gauge("num_requests_waiting", "Requests waiting for their turn.", label,
                     {(n,): q.pending for n, q in queues.items()})  # fmt: skip
        yield _gauge("engine_slots_busy", "Requests at work, as the engine sees it.", label,
                     {(n,): b for n, b in busy.items()})  # fmt: skip
        yield _gauge("engine_up", "Whether the engine can take requests.", label,
                     {(n,): e.state is EngineState.READY for n, e in self.pool})  # fmt: skip
        yield _gauge("engine_restarts", "How often the engine died and was brought back.", label,
                     {(n,): e.restarts for n, e in self.pool})  # fmt: skip

    async def close(self) -> None:
        """Let running requests finish, refuse the rest, and end the engines."""
        for turnstile in self._turnstiles.values():
            await turnstile.queue.stop()
        await self.pool.close()
        if self.recorder.log is not None:
            self.recorder.log.flush()

    def engines(self) -> Iterator[tuple[str, Engine]]:
        """Iterate over names and engines."""
        for name, entry in self.pool:
            yield name, entry.engine


def _gauge(name: str, doc: str, labels: Labels, values: Mapping[Labels, float]) -> Gauge:
    return Gauge(f"octomil:{name}", doc, labels, values.items)


def _messages(endpoint: Endpoint, body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if endpoint == "chat/completions":
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        return messages
    prompt = body["prompt"]
    text = prompt if isinstance(prompt, str) else "\n".join(prompt)
    return [{"role": "user", "content": text}]
