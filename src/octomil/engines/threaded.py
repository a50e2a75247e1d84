"""Engines that write in a thread of this process: what they share."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from octomil.engines.base import (
    Capabilities,
    Completion,
    Deathless,
    Embeddings,
    EventStream,
    GenerationRequest,
    Progress,
    Usage,
)
from octomil.engines.chunks import encode_chunk
from octomil.engines.gather import gather
from octomil.engines.relay import usage_json
from octomil.engines.stop_texts import StopTexts
from octomil.errors import (
    ContextLengthError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
    OctomilError,
)

_NEVER_MORE = ("tools", "response_format", "logprobs", "logit_bias", "suffix", "echo")
"""What a request may ask for and these engines do not do."""


class _End:
    """What follows the last piece."""


_END: Final = _End()


@dataclass(slots=True)
class Writing:
    """One text while it is written, in the engine's thread.

    Attributes:
        body: the request.
        usage: the engine sets `prompt_tokens`, `completion_tokens` and `finish_reason`.
        hand_over: takes each piece of text to whoever asked.
    """

    body: dict[str, Any]
    usage: Usage
    hand_over: Callable[[str], object]
    stops: StopTexts
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def max_tokens(self) -> int | None:
        """Tokens of the answer at the most; None for as many as the context holds."""
        limit = self.body.get("max_completion_tokens") or self.body.get("max_tokens")
        return None if limit is None else int(limit)

    @property
    def should_stop(self) -> bool:
        """Whether nobody waits for more."""
        return self.left.is_set() or self.stops.is_over

    def say(self, piece: str) -> None:
        """Pass a piece of text on, up to a stop text."""
        if text := self.stops.feed(piece):
            self.hand_over(text)

    def end(self) -> None:
        """Pass on what was held back."""
        if self.stops.is_over:
            self.usage.finish_reason = "stop"
        elif text := self.stops.rest():
            self.hand_over(text)


class ThreadedEngine(Deathless):
    """An engine whose library blocks: it loads and writes in one thread of its own.

    Subclasses say how to load the model (`load_model`) and how to write (`write`).

    Args:
        name: the model name in its answers.
        context_tokens: of prompt and answer together.
        chats: whether the model answers conversations, besides continuing text.
    """

    def __init__(self, name: str, *, context_tokens: int, chats: bool) -> None:
        self.name = name
        self._context_tokens = context_tokens
        self._loaded = False
        self._busy = 0
        self._thread: ThreadPoolExecutor | None = None
        self._capabilities = Capabilities(
            chat=chats,
            tools=False,
            logprobs=False,
            structured_output=False,
            gathers=True,
            context_tokens=context_tokens,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Text, and nothing else."""
        return self._capabilities

    def load_model(self) -> None:
        """Load the model, in the engine's thread.

        Raises:
            EngineError: it cannot be loaded.
        """
        raise NotImplementedError

    def write(self, writing: Writing) -> None:
        """Write, in the engine's thread, until the end or until `writing.should_stop`."""
        raise NotImplementedError

    def unload_model(self) -> None:
        """Let go of the model."""
        raise NotImplementedError

    async def load(self, progress: Progress) -> None:
        """Load the model in its thread."""
        await self.close()
        progress(f"{self.name}: loading")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine {self.name}")
        await asyncio.get_running_loop().run_in_executor(self._thread, self.load_model)
        self._loaded = True

    async def generate(self, request: GenerationRequest) -> Completion:
        """Stream inside and gather, because only a stream can be cancelled."""
        return await gather(request.endpoint, self.stream(request))

    def stream(self, request: GenerationRequest) -> EventStream:
        """Answer piece by piece."""
        usage = Usage()
        return EventStream(self._events(request, usage), usage)

    async def _events(
        self, request: GenerationRequest, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        self._check(request)
        self._busy += 1
        try:
            for index in range(request.body.get("n") or 1):
                async with aclosing(self._choice(request, usage, index)) as events:
                    async for event in events:
                        yield event
        finally:
            self._busy -= 1
        if request.wants_usage:
            yield encode_chunk(request, self.name, [], usage=usage_json(usage))

    async def _choice(
        self, request: GenerationRequest, total: Usage, index: int
    ) -> AsyncGenerator[bytes, None]:
        """Write one answer; the thread writes them one after the other."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[str | _End] = asyncio.Queue()
        writing = Writing(
            body=_body(request, index),
            usage=Usage(),
            hand_over=lambda text: loop.call_soon_threadsafe(arrived.put_nowait, text),
            stops=StopTexts(_stops(request.body)),
        )
        done = loop.run_in_executor(self._thread, self._write, writing)
        done.add_done_callback(lambda _: arrived.put_nowait(_END))
        try:
            while not isinstance(piece := await arrived.get(), _End):
                yield self._event(request, index, piece)
            await done
        finally:
            writing.left.set()
            await asyncio.wait([done])  # until then the model is not free for the next
            done.exception()  # who left does not want to know
            total.prompt_tokens = writing.usage.prompt_tokens
            total.completion_tokens += writing.usage.completion_tokens
            total.finish_reason = writing.usage.finish_reason
        yield self._event(request, index, None, total.finish_reason)

    def _write(self, writing: Writing) -> None:
        try:
            self.write(writing)
        except OctomilError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise GenerationError(f"model {self.name!r} failed while it wrote: {reason}") from error
        writing.end()

    def _check(self, request: GenerationRequest) -> None:
        """Refuse what cannot be answered."""
        if not self._loaded:
            raise EngineUnavailableError(f"model {self.name!r} is not loaded")
        for field_name in _NEVER_MORE:
            if request.body.get(field_name):
                raise InvalidRequestError(
                    f"the engine of model {self.name!r} knows no {field_name}: leave it out",
                    param=field_name,
                )
        if not isinstance(request.body.get("prompt", ""), str):
            raise InvalidRequestError(
                f"the engine of model {self.name!r} takes one prompt at a time: ask again",
                param="prompt",
            )

    def room_for(self, prompt_tokens: int, wanted: int | None) -> int:
        """Return how many tokens may be written after a prompt.

        Raises:
            ContextLengthError: the prompt fills the context.
        """
        room = self._context_tokens - prompt_tokens
        if room < 1:
            raise ContextLengthError(
                f"the prompt has {prompt_tokens} tokens, and the context {self._context_tokens}"
            )
        return min(room, wanted or room)

    def _event(
        self,
        request: GenerationRequest,
        index: int,
        text: str | None,
        finish_reason: str | None = None,
    ) -> bytes:
        said: dict[str, Any] = {"text": text or ""}
        if request.endpoint == "chat/completions":
            said = {"delta": {} if text is None else {"role": "assistant", "content": text}}
        choice = {"index": index, **said, "finish_reason": finish_reason}
        return encode_chunk(request, self.name, [choice])

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Refuse: the model writes text."""
        raise InvalidRequestError(
            f"model {self.name!r} writes text and makes no embeddings", param="model"
        )

    async def tokens(self, text: str) -> int:
        """Count the tokens of `text`, in the engine's thread."""
        if not self._loaded:
            raise EngineUnavailableError(f"model {self.name!r} is not loaded")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.count_tokens, text)

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text` with the model's own tokenizer."""
        raise NotImplementedError

    async def busy(self) -> int:
        """Tell how many answers are being made."""
        return self._busy

    async def close(self) -> None:
        """Let go of the model, after what it has begun."""
        thread, self._thread = self._thread, None
        self._loaded = False
        if thread is not None:
            loop = asyncio.get_running_loop()
            with suppress(RuntimeError):  # the interpreter is ending, and takes no more work
                await loop.run_in_executor(thread, self.unload_model)
            thread.shutdown(wait=False)


def _body(request: GenerationRequest, index: int) -> dict[str, Any]:
    """Return the request for one of several answers: with a seed, each draws otherwise."""
    seed = request.body.get("seed")
    return request.body if seed is None else {**request.body, "seed": seed + index}


def _stops(body: dict[str, Any]) -> list[str]:
    stops = body.get("stop") or []
    return [stop for stop in ([stops] if isinstance(stops, str) else stops) if stop]
