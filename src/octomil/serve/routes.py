"""The node's other endpoints: embeddings, models, statistics, health."""

import asyncio
import base64
import logging
import math
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from epochly.inference.breaker import BreakerState
from epochly.inference.metrics.exposition import (
    CLASSIC,
    OPENMETRICS,
    exposition,
    wants_openmetrics,
)
from octomil._version import __version__
from octomil.engines.base import Embeddings
from octomil.engines.pooled import PooledEngine
from octomil.errors import InvalidRequestError, OctomilError
from octomil.serve.answers import request_id_header, send_answer, send_json
from octomil.serve.attempts import attempt
from octomil.serve.client_watch import ClientWatch
from octomil.serve.errors import error_answer, shutting_down, unforeseen
from octomil.serve.gauges import gauges
from octomil.serve.limits import BODY_TIMEOUT_S, ClientGoneError, observe, parse
from octomil.serve.node import AUTO, Node
from octomil.serve.observation import Observation
from octomil.serve.request_ids import in_trace
from octomil.wire.openai import EmbeddingRequest

_log = logging.getLogger("octomil.serve")
_encode = msgspec.json.Encoder().encode


class EmbeddingsEndpoint:
    """`POST /v1/embeddings`.

    Args:
        node: who answers.
        body_timeout_s: seconds a request's body may take to arrive.
    """

    def __init__(self, node: Node, *, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._node = node
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn texts into vectors, and tell about it however it ends."""
        seen = observe(scope)
        try:
            async with ClientWatch(scope, receive, body_timeout_s=self._body_timeout_s) as client:
                _, request = parse(await client.body(), EmbeddingRequest)
                with in_trace(seen.context):
                    answer = await self._embed(request, seen)
            await send_json(send, answer, headers=[request_id_header(seen.request_id)])
        except ClientGoneError:
            seen.outcome = "cancelled"
        except asyncio.CancelledError:
            await self._fail(send, seen, shutting_down())
            raise
        except OctomilError as error:
            await self._fail(send, seen, error)
        except Exception:  # noqa: BLE001 - the edge: a fault must become an answer, and be logged
            _log.exception("an embeddings request failed in a way nobody foresaw")
            await self._fail(send, seen, unforeseen())
        finally:
            self._node.recorder.record_embedding(seen)

    async def _fail(self, send: Send, seen: Observation, error: OctomilError) -> None:
        answer = error_answer(error, retry_after_s=self._node.retry_after_s(error, seen.model))
        seen.outcome = f"error:{answer.code}"
        await send_answer(send, answer, [request_id_header(seen.request_id)])

    async def _embed(self, request: EmbeddingRequest, seen: Observation) -> bytes:
        seen.asked = {"input": request.input}
        await self._node.bring(request.model, embeds=True)
        name = seen.model = self._node.embedding_model(request.model)
        self._node.require_embeddings(name)
        texts = [request.input] if isinstance(request.input, str) else request.input
        result = await self._vectors(name, texts, seen)
        seen.outcome = "stop"
        width = request.dimensions
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _as_asked(_shortened(vector, width), request.encoding_format),
            }
            for index, vector in enumerate(result.vectors)
        ]
        usage = {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens}
        return _encode({"object": "list", "data": rows, "model": name, "usage": usage})

    async def _vectors(self, name: str, texts: Sequence[str], seen: Observation) -> Embeddings:
        """Embed `texts` in their turn, which comes first: a model may have to be fetched in it."""
        body = {"input": texts}
        async with attempt(self._node, name, body, seen, loads=True) as at_work:
            self._node.require_embeddings(name)  # loaded, it knows better
            result = await at_work.engine.embed(texts)
            seen.usage.prompt_tokens = result.prompt_tokens
        return result


def _shortened(vector: Sequence[float], width: int | None) -> Sequence[float]:
    """Return the first `width` numbers, brought back to unit length as OpenAI does."""
    if width is None or width == len(vector):
        return vector
    if width > len(vector):
        message = f"dimensions must be at most {len(vector)}, got {width}"
        raise InvalidRequestError(message, param="dimensions")
    length = math.hypot(*vector[:width]) or 1.0
    return [value / length for value in vector[:width]]


def _as_asked(vector: Sequence[float], encoding: str | None) -> Sequence[float] | str:
    """Return the vector as numbers, or as base64 of little-endian float32."""
    if encoding != "base64":
        return vector
    floats = array("f", vector)
    if floats.itemsize != 4 or array("H", b"\1\0")[0] != 1:
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()


class NodeRoutes:
    """The endpoints that only read."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def models(self, _request: Request) -> Response:
        """`GET /v1/models`: `auto`, and every model by name."""
        return _json({"object": "list", "data": list((await self._listed()).values())})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{name}`."""
        name = request.path_params["name"]
        listed = await self._listed()
        model = listed.get(name) or listed.get(self._node.short_names.get(name, name))
        if model is None:
            message = f"no model {name!r} is served here"
            error = {"message": message, "type": "invalid_request_error", "param": "model"}
            return _json({"error": {**error, "code": "model_not_found"}}, status=404)
        return _json(model)

    async def _listed(self) -> dict[str, dict[str, Any]]:
        """Return what `/v1/models` says about each model, by name."""
        node = self._node
        created = int(node.started_at.timestamp())
        owners = {AUTO: "octomil"} if node.router else {}
        owners |= {model.name: model.owned_by for model in node.models.values()}
        listed = {name: _model(name, created, owner) for name, owner in owners.items()}
        if node.on_demand is not None:
            for name, fares in (await node.on_demand.listing()).items():
                listed[name] = {**(listed.get(name) or _model(name, created, "octomil")), **fares}
        return listed

    async def routing_stats(self, _request: Request) -> Response:
        """`GET /v1/routing/stats`."""
        return _json(self._node.routing_stats())

    async def queue_stats(self, _request: Request) -> Response:
        """`GET /v1/queue/stats`."""
        return _json(self._node.queue_stats())

    async def health(self, _request: Request) -> Response:
        """`GET /health`: the process answers; says how each model fares."""
        models = {name: self._fares(name, entry) for name, entry in self._node.pool}
        if self._node.on_demand is not None:
            models |= self._node.on_demand.under_way()
        return _json({"status": "ok", "version": __version__, "models": models})

    async def ready(self, _request: Request) -> Response:
        """`GET /ready`: 200 once every model can answer, 503 until then."""
        ready = self._node.is_ready()
        models = {name: str(entry.state) for name, entry in self._node.pool if not entry.lazy}
        return _json({"ready": ready, "models": models}, status=200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`, in Prometheus' text format, or in OpenMetrics' if the scraper asks."""
        node = self._node
        busy = await node.pool.busy()
        shown = [*node.recorder.metrics, node.breakers.transitions, *gauges(node, busy)]
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        text = exposition(shown, openmetrics=openmetrics)
        kind = OPENMETRICS if openmetrics else CLASSIC
        return Response(text, headers={"content-type": kind})

    def _fares(self, name: str, entry: PooledEngine) -> dict[str, Any]:
        fares: dict[str, Any] = {"state": str(entry.state), "restarts": entry.restarts}
        if entry.detail:
            fares["detail"] = entry.detail
        if entry.release is not None:
            fares["release"] = {"version": entry.release.version, "digest": entry.release.digest}
        breaker = self._node.breakers.state(name)
        return fares if breaker is BreakerState.CLOSED else {**fares, "breaker": str(breaker)}


def _model(name: str, created: int, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def _json(body: object, *, status: int = 200) -> Response:
    return Response(_encode(body), status_code=status, media_type="application/json")
