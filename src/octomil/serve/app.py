"""The ASGI application: routes, keys, CORS, and errors in one form."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.serve.chat import GenerationEndpoint
from octomil.serve.errors import HttpError, error_answer, unforeseen
from octomil.serve.keys import ClientKeys
from octomil.serve.limits import BODY_TIMEOUT_S, ApiKeyMiddleware
from octomil.serve.node import Node
from octomil.serve.origins import OriginGuard
from octomil.serve.request_ids import NamedAnswers
from octomil.serve.routes import EmbeddingsEndpoint, NodeRoutes

_EXPOSED = (
    "X-Octomil-Routed-Model",
    "X-Octomil-Routing-Tier",
    "X-Octomil-Routing-Latency-Us",
    "X-Octomil-Escalated-From",
    "X-Octomil-Decomposed",
    "X-Octomil-Subtasks",
    "X-Octomil-Subtask-Models",
    "X-Request-Id",
    "Retry-After",
)


def build_app(
    node: Node,
    *,
    keys: ClientKeys | None = None,
    cors_origins: Sequence[str] = (),
    allowed_hosts: Collection[str] | None = None,
    body_timeout_s: float = BODY_TIMEOUT_S,
    on_start: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """Return the application that serves `node`.

    Args:
        node: what answers.
        keys: the bearer tokens clients may send; None accepts any or none.
        cors_origins: origins whose pages may call; none by default.
        allowed_hosts: names the node goes by; None for any.
        body_timeout_s: seconds a request's body may take to arrive.
        on_start: runs while the application does; loads the models, for one.
    """
    posts: dict[str, ASGIApp] = {
        "/v1/chat/completions": GenerationEndpoint(
            node, "chat/completions", body_timeout_s=body_timeout_s
        ),
        "/v1/completions": GenerationEndpoint(node, "completions", body_timeout_s=body_timeout_s),
        "/v1/embeddings": EmbeddingsEndpoint(node, body_timeout_s=body_timeout_s),
    }
    app: ASGIApp = ShortCut(posts, NamedAnswers(_router(node, posts, on_start)))
    if keys:
        app = ApiKeyMiddleware(app, keys, node.recorder.record_refused_key)
    if cors_origins:  # outside of the key, which a preflight does not carry
        app = CORSMiddleware(
            app,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own
            allow_private_network=True,
            expose_headers=list(_EXPOSED),
        )
    origins = None if keys else cors_origins
    return OriginGuard(app, origins=origins, hosts=allowed_hosts)


def _router(
    node: Node,
    posts: Mapping[str, ASGIApp],
    on_start: Callable[[], AbstractAsyncContextManager[None]] | None,
) -> Starlette:
    """Return the framework's application, which knows every path."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        if on_start is None:
            yield
        else:
            async with on_start():
                yield

    reads = NodeRoutes(node)
    routes = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        Route("/v1/models", reads.models),
        Route("/v1/models/{name:path}", reads.model),
        Route("/v1/routing/stats", reads.routing_stats),
        Route("/v1/queue/stats", reads.queue_stats),
        Route("/health", reads.health),
        Route("/ready", reads.ready),
        Route("/metrics", reads.metrics),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: _unforeseen},
    )


class ShortCut:
    """Hands the hot paths straight to their endpoints, which answer every fault themselves.

    Starlette's routing and exception layers would cost each of these requests a fifth of its CPU.

    Args:
        posts: endpoints by path, for POST.
        app: everything else.
    """

    def __init__(self, posts: Mapping[str, ASGIApp], app: ASGIApp) -> None:
        self._posts = posts
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to whom it concerns."""
        endpoint = self._app
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._posts.get(scope["path"], self._app)
        await endpoint(scope, receive, send)


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


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    """Give a fault of ours OpenAI's form; the framework raises it again, so that it is logged."""
    answer = error_answer(unforeseen())
    return Response(answer.body, status_code=answer.status, media_type="application/json")
