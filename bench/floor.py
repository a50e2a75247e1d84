"""The floor: a proxy that does nothing, on the same stack as the gateway.

Starlette, uvicorn and aiohttp; bytes in, bytes out. What a gateway costs above it is features.
Run it as ``python -m bench.floor --port P --upstream http://127.0.0.1:UP``.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def build_app(upstream: str) -> Starlette:
    session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        nonlocal session
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield

    async def chat(request: Request) -> Response:
        assert session
        answer = await session.post(
            f"{upstream}/v1/chat/completions",
            data=await request.body(),
            headers={"content-type": "application/json"},
        )
        media_type = answer.headers["content-type"]
        if not media_type.startswith("text/event-stream"):
            return Response(await answer.read(), answer.status, media_type=media_type)

        async def relay() -> AsyncIterator[bytes]:
            async with answer:
                async for data in answer.content.iter_any():
                    yield data

        return StreamingResponse(relay(), answer.status, media_type=media_type)

    async def ready(_request: Request) -> Response:
        return Response(b"ok")

    routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/ready", ready)]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.floor")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    uvicorn.run(
        build_app(options.upstream),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
