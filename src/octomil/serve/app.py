"""The ASGI application: routes, keys, CORS, and errors in one form."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from octomil.serve.chat import GenerationEndpoint
from octomil.serve.errors import HttpError, error_answer
from octomil.serve.limits import ApiKeyMiddleware
from octomil.serve.node import Node
from octomil.serve.routes import EmbeddingsEndpoint, NodeRoutes

_EXPOSED = (
    "X-Octomil-Routed-Model",
    "X-Octomil-Routing-Tier",
    "X-Octomil-Routing-Latency-Us",
    "Retry-After",
)


def build_app(
    node: Node,
    *,
    api_key: str | None = None,
    cors_origins: Sequence[str] = (),
    on_start: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """Return the application that serves `node`.

    Args:
        node: what answers.
        api_key: the bearer token clients must send; None accepts any or none.
        cors_origins: origins whose pages may call; none by default.
        on_start: runs while the application does; loads the models, for one.
    """
    reads = NodeRoutes(node)
    routes = [
        Route(
            "/v1/chat/completions", GenerationEndpoint(node, "chat/completions"), methods=["POST"]
        ),
        Route("/v1/completions", GenerationEndpoint(node, "completions"), methods=["POST"]),
        Route("/v1/embeddings", EmbeddingsEndpoint(node), methods=["POST"]),
        Route("/v1/models", reads.models),
        Route("/v1/models/{name:path}", reads.model),
        Route("/v1/routing/stats", reads.routing_stats),
        Route("/v1/queue/stats", reads.queue_stats),
        Route("/health", reads.health),
        Route("/ready", reads.ready),
        Route("/metrics", reads.metrics),
    ]
    middleware = []
    if cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-Model"],
                expose_headers=list(_EXPOSED),
            )
        )
    if api_key:
        middleware.append(Middleware(ApiKeyMiddleware, api_key=api_key))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        if on_start is None:
            yield
        else:
            async with on_start():
                yield

    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error},
    )


async def _http_error(request: Request, error: Exception) -> Response:
    """Give the framework's own refusals, such as 404 and 405, OpenAI's form."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message, code = f"there is no {request.method} {request.url.path} here", "not_found"
    else:
        message = f"{request.method} is not allowed on {request.url.path}"
        code = "method_not_allowed"
    answer = error_answer(HttpError(error.status_code, message, code=code))
    return Response(
        answer.body,
        status_code=answer.status,
        media_type="application/json",
        headers=dict(error.headers or {}),
    )
