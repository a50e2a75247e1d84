"""Tokens one by one, as the control plane streams them: for plain code, and for event loops."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from octomil.http.api import ApiClient, api_base
from octomil.http.connection import bearer_of
from octomil.http.deadline import Deadline
from octomil.http.event_loop import stream_async, within
from octomil.http.exchange import Caller, Request
from octomil.inference.queries import Messages, query_body
from octomil.inference.tokens import StreamToken, TokenReader

STREAM_TIMEOUT_S = 120.0


def stream_inference(
    server_url: str,
    api_key: str,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None = None,
    timeout: float = STREAM_TIMEOUT_S,
) -> Generator[StreamToken, None, None]:
    """Stream a model's answer from a control plane; the last token is `done`.

    Nothing is sent before the first token is asked for. What fails for now is tried again, as long
    as nothing has come back; from then on an answer is given once, or ends with an error. It never
    just ends early: without an error, the last token was `done`. Leaving the loop, closing the
    generator or dropping it closes the connection, and the generation stops.

    Args:
        server_url: such as `http://127.0.0.1:8000/api/v1`; an address without a path gets that one.
        api_key: a key with the scope `inference:use`.
        model_id: the model, by the name that the control plane's backends know.
        input_data: what the user says; or a conversation, as a list of messages.
        parameters: such as `temperature` and `max_tokens`.
        timeout: seconds without a token: until the first one, connecting and trying again
            included, and between any two. Heartbeats and what else comes are no tokens. Time that
            the caller takes between two tokens does not count.

    Raises:
        ConfigurationError: address, key or timeout make no sense; raised at once.
        BadRequestError: what is asked is neither a text nor a conversation, which is raised at
            once, too; or it cannot be written as JSON.
        ApiError: the control plane refuses, or says that the generation failed.
        AnswerTimeoutError: no token came in time.
        TruncatedStreamError: the stream broke off.
        ServerUnreachableError: nobody answers.
        UnexpectedAnswerError: what answers is no control plane.
    """
    api = ApiClient(server_url, bearer_of(api_key))
    return _owning(api, stream_tokens(api, model_id, input_data, parameters, timeout))


def stream_inference_async(
    server_url: str,
    api_key: str,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None = None,
    timeout: float = STREAM_TIMEOUT_S,
) -> AsyncGenerator[StreamToken, None]:
    """Do what :func:`stream_inference` does, in an event loop: `async for`.

    A task that is cancelled closes its connection. So does a loop that is left, once nothing refers
    to the generator; `contextlib.aclosing` closes it right there.
    """
    caller = Caller(base_url=api_base(server_url), bearer=bearer_of(api_key))
    return stream_tokens_async(caller, model_id, input_data, parameters, timeout)


def stream_tokens(
    api: ApiClient,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None,
    timeout_s: float,
) -> Generator[StreamToken, None, None]:
    """Stream an answer over a client that is there; otherwise as :func:`stream_inference`."""
    deadline = Deadline(timeout_s)
    request = _request(query_body(model_id, input_data, parameters), deadline)
    return _tokens(api, request, deadline)


def stream_tokens_async(
    caller: Caller,
    model_id: str,
    input_data: str | Messages,
    parameters: Mapping[str, Any] | None,
    timeout_s: float,
) -> AsyncGenerator[StreamToken, None]:
    """Stream an answer for a caller; otherwise as :func:`stream_inference_async`."""
    deadline = Deadline(timeout_s)
    request = _request(query_body(model_id, input_data, parameters), deadline)
    return _tokens_async(caller, request, deadline)


def _request(body: Mapping[str, Any], deadline: Deadline) -> Request:
    return Request(
        method="POST",
        path="/inference/stream",
        # Packed, tokens would arrive in heaps.
        headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
        json=body,
        deadline=deadline,
    )


def _owning(
    api: ApiClient, tokens: Generator[StreamToken, None, None]
) -> Generator[StreamToken, None, None]:
    with api, closing(tokens):
        yield from tokens


def _tokens(
    api: ApiClient, request: Request, deadline: Deadline
) -> Generator[StreamToken, None, None]:
    deadline.renew()
    with api.stream(request) as answer:
        reader, chunks = TokenReader(answer), answer.iter_bytes()
        while True:
            for token in reader.feed(_next_chunk(chunks, reader, deadline)):
                deadline.pause()
                yield token
                if token.done:
                    return
                deadline.renew()


def _next_chunk(chunks: Iterator[bytes], reader: TokenReader, deadline: Deadline) -> bytes:
    import httpx

    try:
        chunk = next(chunks, None)
    except httpx.RequestError as error:
        raise reader.early_end(error, deadline) from error
    if chunk is None:
        raise reader.early_end(None, deadline)
    return chunk


async def _tokens_async(
    caller: Caller, request: Request, deadline: Deadline
) -> AsyncGenerator[StreamToken, None]:
    deadline.renew()
    async with stream_async(caller, request) as answer:
        reader, chunks = TokenReader(answer), answer.aiter_bytes()
        while True:
            for token in reader.feed(await _next_chunk_async(chunks, reader, deadline)):
                yield token
                if token.done:
                    return
                deadline.renew()


async def _next_chunk_async(
    chunks: AsyncIterator[bytes], reader: TokenReader, deadline: Deadline
) -> bytes:
    import httpx

    try:
        chunk = await within(deadline, anext(chunks, None))
    except (httpx.RequestError, TimeoutError) as error:
        raise reader.early_end(error, deadline) from error
    if chunk is None:
        raise reader.early_end(None, deadline)
    return chunk
