"""`POST /v1/chat/completions` and `POST /v1/completions`: one request, start to end."""

import asyncio
import logging
from contextlib import aclosing
from time import perf_counter

from starlette.types import Receive, Scope, Send

from octomil.asgi.headers import headers_of
from octomil.engines.base import Endpoint, EventStream, GenerationRequest
from octomil.errors import OctomilError
from octomil.http.sse import DONE
from octomil.routing.router import DecomposedDecision, RoutingDecision
from octomil.serve.answers import ResponseWriter, routing_headers
from octomil.serve.attempts import Attempt, attempt
from octomil.serve.client_watch import ClientWatch
from octomil.serve.decomposed import send_decomposed
from octomil.serve.errors import error_answer, shutting_down, unforeseen
from octomil.serve.escalation import WALKED_ON, LowConfidenceError
from octomil.serve.limits import (
    BODY_TIMEOUT_S,
    ClientGoneError,
    observe,
    parse,
    too_deep,
)
from octomil.serve.node import AUTO, Node
from octomil.serve.observation import Observation
from octomil.serve.request_ids import in_trace
from octomil.serve.tier0 import tier0_chunks, tier0_completion
from octomil.wire.openai import ChatRequest, CompletionRequest

_log = logging.getLogger("octomil.serve")


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
        exchange = Exchange(self._node, send, observe(scope))
        seen = exchange.seen
        try:
            async with ClientWatch(scope, receive, body_timeout_s=self._body_timeout_s) as client:
                raw, checked = parse(await client.body(), self._kind)
                named = _text(headers_of(scope).get(b"x-model", b"")) or checked.model
                with in_trace(seen.context):
                    await exchange.answer(GenerationRequest(self._endpoint, raw), named)
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
        seen: where the request is noted.
    """

    def __init__(self, node: Node, send: Send, seen: Observation) -> None:
        self._node = node
        self._send = send
        self._writer = ResponseWriter(send, seen.request_id)
        self.seen = seen

    async def answer(self, request: GenerationRequest, named: str) -> None:
        """Route the request and send the answer.

        Raises:
            OctomilError: it cannot be answered.
        """
        seen = self.seen
        seen.asked = request.body
        await self._node.bring(named)
        decision, seen.routing_s = self._node.choose(request.endpoint, request.body, named)
        seen.routed = named == AUTO and self._node.router is not None
        seen.model, seen.tier = decision.model_name, decision.tier_number
        if isinstance(decision, DecomposedDecision):
            await send_decomposed(self._node, request, decision, seen, self._writer)
            self._node.remember(request, seen.model)
            return
        if decision.deterministic is not None:
            await self._send_tier0(request, decision)
            return
        doubting = self._node.fallback and seen.routed
        candidates = self._node.candidates(decision, request.body, doubting=doubting)
        for name in candidates:
            try:
                async with attempt(self._node, name, request.body, seen) as at_work:
                    self._writer.headers = routing_headers(seen)
                    await self._generate(request, at_work, check=candidates.may_doubt)
            except LowConfidenceError:
                candidates.doubt()
            except WALKED_ON:
                if candidates.is_last or self._writer.started:
                    raise
            else:
                break
        if seen.routed:
            self._node.remember(request, seen.model)

    async def _generate(self, request: GenerationRequest, at_work: Attempt, *, check: bool) -> None:
        seen = self.seen
        if request.body.get("stream"):
            await self._relay(at_work.stream(request, check=check))
        else:
            completion = await at_work.complete(request, check=check)
            await self._writer.send_whole(completion.body)
        seen.outcome = seen.usage.finish_reason or "stop"

    async def _relay(self, stream: EventStream) -> None:
        """Send blocks as they come; the headers wait for the first, so that errors keep theirs."""
        send, writer, timing = self._send, self._writer, self.seen.timing
        async with aclosing(stream.events) as events:
            async for block in events:
                timing.last_at = perf_counter()
                if not writer.started:
                    timing.begin(timing.last_at, tokens=stream.usage.completion_tokens)
                    await writer.start()
                await send({"type": "http.response.body", "body": block, "more_body": True})
        await writer.send_block(DONE, is_last=True)

    async def _send_tier0(self, request: GenerationRequest, decision: RoutingDecision) -> None:
        seen = self.seen
        answer = decision.deterministic
        assert answer is not None
        seen.outcome = "stop"
        self._writer.headers = routing_headers(seen)
        if not request.body.get("stream"):
            await self._writer.send_whole(tier0_completion(answer.answer))
            return
        body = tier0_chunks(answer.answer, wants_usage=request.wants_usage)
        await self._writer.send_block(body + DONE, is_last=True)

    async def fail(self, error: OctomilError) -> None:
        """Tell the client, by status while that is possible, else by a last event."""
        seen = self.seen
        wait_s = self._node.retry_after_s(error, seen.model)
        answer = error_answer(error, retry_after_s=wait_s)
        seen.outcome = f"error:{answer.code}"
        if seen.tier >= 0 and not seen.subtasks:
            self._writer.headers = routing_headers(seen)
        await self._writer.refuse(answer)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:  # as HTTP once had it
        return value.decode("latin-1")
