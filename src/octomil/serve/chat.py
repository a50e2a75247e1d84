"""`POST /v1/chat/completions` and `POST /v1/completions`: one request, start to end."""

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope, Send

from octomil.engines.base import Endpoint, Engine, EventStream, GenerationRequest
from octomil.engines.gather import gather
from octomil.errors import (
    EngineCrashedError,
    EngineUnavailableError,
    GenerationError,
    OctomilError,
)
from octomil.http.sse import DONE, encode_event
from octomil.routing.router import RoutingDecision
from octomil.serve.answers import EVENTS, Header, send_answer, send_json
from octomil.serve.errors import ErrorAnswer, error_answer, shutting_down, unforeseen
from octomil.serve.escalation import LowConfidenceError, confident
from octomil.serve.limits import BODY_TIMEOUT_S, ClientGoneError, parse, read_body, too_deep
from octomil.serve.node import AUTO, Node
from octomil.serve.observation import Observation
from octomil.serve.tier0 import tier0_chunks, tier0_completion
from octomil.wire.openai import ChatRequest, CompletionRequest

_log = logging.getLogger("octomil.serve")

_WATCH_AFTER_S = 0.02

_ENGINE_FAULTS = (EngineUnavailableError, EngineCrashedError, GenerationError, LowConfidenceError)


class GenerationEndpoint:
    """An ASGI application for one of the two text endpoints.

    Args:
        node: who answers.
        endpoint: which of the two.
        body_timeout_s: seconds a request's body may take to arrive.
    """

    def __init__(
        self, node: Node, endpoint: Endpoint, *, body_timeout_s: float = BODY_TIMEOUT_S
    ) -> None:
        self._node = node
        self._body_timeout_s = body_timeout_s
        self._endpoint: Endpoint = endpoint
        self._kind = ChatRequest if endpoint == "chat/completions" else CompletionRequest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and tell about it however it ends."""
        exchange = Exchange(self._node, send)
        seen = exchange.seen
        try:
            body = await read_body(scope, receive, deadline_s=self._body_timeout_s)
            raw, checked = parse(body, self._kind)
            named = _header(scope, b"x-model") or checked.model
            async with HangUp(receive) as hang_up:
                try:
                    await exchange.answer(GenerationRequest(self._endpoint, raw), named)
                except asyncio.CancelledError:
                    if not hang_up.happened:
                        raise
                    hang_up.forgive()
                    seen.outcome = "cancelled"
        except ClientGoneError:
            seen.outcome = "cancelled"
        except asyncio.CancelledError:
            await exchange.fail(shutting_down())
            raise
        except OctomilError as error:
            await exchange.fail(error)
        except RecursionError:
            await exchange.fail(too_deep())
        except Exception:  # noqa: BLE001 - the edge: a fault must become an answer, and be logged
            _log.exception("a request failed in a way nobody foresaw")
            await exchange.fail(unforeseen())
        finally:
            self._node.recorder.record(seen)


class Exchange:
    """One request being answered.

    Args:
        node: who answers.
        send: the ASGI channel to the client.
    """

    def __init__(self, node: Node, send: Send) -> None:
        self._node = node
        self._send = send
        self._headers: list[Header] = []
        self._streaming = False
        self.seen = Observation()

    async def answer(self, request: GenerationRequest, named: str) -> None:
        """Route the request and send the answer.

        Raises:
            OctomilError: it cannot be answered.
        """
        seen = self.seen
        decision, seen.routing_s = self._node.choose(request.endpoint, request.body, named)
        seen.routed = named == AUTO
        seen.model, seen.tier = decision.model_name, decision.tier_number
        if decision.deterministic is not None:
            await self._send_tier0(request, decision)
            return
        chain = (decision.model_name, *(decision.fallback_chain if seen.routed else ()))
        for place, name in enumerate(chain):
            is_last = place == len(chain) - 1
            try:
                await self._attempt(request, name, decision, is_last=is_last)
            except _ENGINE_FAULTS:
                if is_last or self._streaming:
                    raise
            else:
                return

    async def _attempt(
        self, request: GenerationRequest, name: str, decision: RoutingDecision, *, is_last: bool
    ) -> None:
        """Let one model answer, in its turn."""
        seen, router = self.seen, self._node.router
        seen.model, seen.cost_usd = name, self._node.models[name].cost_usd
        if router is not None and name in router.models and name != decision.model_name:
            seen.tier = _tier_number(router.models[name].tier)
        self._headers = routing_headers(name, seen.tier, seen.routing_us)
        engine = self._node.pool.engine(name)
        turnstile = self._node.turnstile(name)
        asked = perf_counter()
        await turnstile.queue.acquire()
        began = perf_counter()
        seen.queue_s = began - asked
        try:
            check = self._node.fallback and seen.routed and not is_last
            await self._generate(request, engine, check=check)
        finally:
            turnstile.queue.release()
            turnstile.observe(perf_counter() - began)

    async def _generate(self, request: GenerationRequest, engine: Engine, *, check: bool) -> None:
        seen = self.seen
        check = check and engine.capabilities.logprobs
        if request.body.get("stream"):
            stream = confident(engine, request) if check else engine.stream(request)
            seen.usage = stream.usage
            await self._relay(stream)
        else:
            if check:
                completion = await gather(request.endpoint, confident(engine, request))
            else:
                completion = await engine.generate(request)
            seen.usage = completion.usage
            await send_json(self._send, completion.body, headers=self._headers)
        seen.outcome = seen.usage.finish_reason or "stop"

    async def _relay(self, stream: EventStream) -> None:
        """Send blocks as they come; the headers wait for the first, so that errors keep theirs."""
        send, seen, events, blocks = self._send, self.seen, stream.events, 0
        try:
            async for block in events:
                if not self._streaming:
                    seen.first_byte = perf_counter()
                    await self._start_stream()
                blocks += 1
                await send({"type": "http.response.body", "body": block, "more_body": True})
            seen.last_byte = perf_counter()
        finally:
            await events.aclose()
            if not stream.usage.completion_tokens:  # cut short: a block is about a token
                stream.usage.completion_tokens = blocks
        if not self._streaming:
            await self._start_stream()
        await send({"type": "http.response.body", "body": DONE})

    async def _start_stream(self) -> None:
        self._streaming = True
        headers = [*EVENTS, *self._headers]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _send_tier0(self, request: GenerationRequest, decision: RoutingDecision) -> None:
        seen = self.seen
        answer = decision.deterministic
        assert answer is not None
        seen.cost_usd, seen.outcome = 0.0, "stop"
        self._headers = routing_headers(decision.model_name, 0, seen.routing_us)
        if not request.body.get("stream"):
            await send_json(self._send, tier0_completion(answer.answer), headers=self._headers)
            return
        await self._start_stream()
        body = tier0_chunks(answer.answer, wants_usage=request.wants_usage)
        await self._send({"type": "http.response.body", "body": body + DONE})

    async def fail(self, error: OctomilError) -> None:
        """Tell the client, by status while that is possible, else by a last event."""
        seen = self.seen
        wait_s = self._node.retry_after_s(error, seen.model)
        answer: ErrorAnswer = error_answer(error, retry_after_s=wait_s)
        seen.outcome = f"error:{answer.code}"
        if not self._streaming:
            await send_answer(self._send, answer, self._headers)
            return
        event = encode_event(answer.body)
        await self._send({"type": "http.response.body", "body": event})


class HangUp:
    """Cancels the work inside the block when the client hangs up.

    It begins to look after a moment only: a task to watch each of the many requests that are over
    by then would cost a tenth of them.

    Attributes:
        happened: whether it did.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.happened = False

    async def __aenter__(self) -> Self:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_WATCH_AFTER_S, self._begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def forgive(self) -> None:
        """Take the cancellation back once it has done its work."""
        self._work.uncancel()

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.happened = True
                self._work.cancel()
                return


def routing_headers(model: str, tier: int, microseconds: int) -> list[Header]:
    """Return the documented headers that say where a request went."""
    return [
        (b"x-octomil-routed-model", model.encode("latin-1", "replace")),
        (b"x-octomil-routing-tier", b"%d" % tier),
        (b"x-octomil-routing-latency-us", b"%d" % microseconds),
    ]


def _tier_number(tier: str) -> int:
    return RoutingDecision("", 0.0, tier).tier_number


def _header(scope: Scope, name: bytes) -> str:
    headers: Sequence[Header] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")
