"""The engine: a worker process, spoken to in OpenAI's form."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from octomil.engines.base import Capabilities, Completion, GenerationRequest, Progress, Usage
from octomil.engines.gather import gather
from octomil.engines.llama_cpp.process import WorkerProcess
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.engines.llama_cpp.tool_calls import lift_tool_calls
from octomil.engines.openai_wire import OpenAIWireEngine
from octomil.engines.upstream import AiohttpUpstream
from octomil.errors import (
    EngineCrashedError,
    EngineError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)

_FORWARDED = frozenset(
    (
        *("messages", "prompt", "stop", "n", "seed", "echo", "suffix"),
        *("temperature", "top_p", "top_k", "min_p", "typical_p"),
        *("presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n", "logit_bias"),
        *("logprobs", "top_logprobs", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls"),
    )
)
"""What a client may set. The rest of llama.cpp's own fields stay ours: some of them bypass limits,
and some abort the process."""

_DEATH_NOTICE_S = 1.0


class LlamaCppEngine(OpenAIWireEngine):
    """A GGUF model in a worker process of its own."""

    prefix = "/v1"
    usage_per_choice = True

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(
            spec.name,
            capabilities=Capabilities(
                embeddings=spec.embeddings,
                context_tokens=spec.context_tokens,
                max_concurrency=spec.slots,
            ),
        )
        self.spec = spec
        self._worker: WorkerProcess | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._worker.pid if self._worker else None

    async def load(self, progress: Progress) -> None:
        """Start the worker and learn what its model can do."""
        await self.close()
        worker = WorkerProcess(self.spec)
        try:
            progress(f"{self.model}: loading {self.spec.path.name}")
            await worker.start()
            upstream = AiohttpUpstream(
                "http://worker", api_key=worker.key, unix_socket=worker.socket
            )
            props = msgspec.json.decode((await upstream.request("GET", "/props")).body)
        except BaseException:
            await worker.stop()
            raise
        self._worker, self._upstream = worker, upstream
        template = props.get("chat_template_caps") or {}
        self._capabilities = Capabilities(
            embeddings=self.spec.embeddings,
            tools=bool(template.get("supports_tools")),
            context_tokens=props["default_generation_settings"]["n_ctx"],
            max_concurrency=props["total_slots"],
        )

    def prepare(self, request: GenerationRequest) -> dict[str, Any]:
        """Keep what clients may set, and ask for progress, which makes a prefill cancellable."""
        body = {key: value for key, value in request.body.items() if key in _FORWARDED}
        limit = request.body.get("max_completion_tokens") or request.body.get("max_tokens")
        if limit is not None:
            body["max_tokens"] = limit
        if (request.body.get("n") or 1) > self.spec.slots:
            raise InvalidRequestError(
                f"n must be at most {self.spec.slots}, the slots of model {self.model!r}", param="n"
            )
        return body | {"model": self.model, "return_progress": True}

    async def generate(self, request: GenerationRequest) -> Completion:
        """Stream inside and gather, because only a stream can be cancelled."""
        return await gather(request.endpoint, self.stream(request))

    async def _events(
        self, request: GenerationRequest, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        events = super()._events(request, usage)
        if request.body.get("tools") and request.body.get("tool_choice") != "none":
            events = lift_tool_calls(events, request.body["tools"])
        worker = self._worker
        try:
            async for block in events:
                yield block
        except (GenerationError, EngineUnavailableError) as error:
            if worker is not None and await _has_died(worker):
                raise EngineCrashedError(
                    f"the worker of model {self.model!r} died while it answered; it is being "
                    "restarted, so the request can be sent again"
                ) from error
            raise
        finally:
            await events.aclose()

    async def tokens(self, text: str) -> int:
        """Count the tokens of `text` with the model's own tokenizer."""
        reply = await self.upstream.request(
            "POST", "/tokenize", msgspec.json.encode({"content": text})
        )
        return len(msgspec.json.decode(reply.body)["tokens"])

    async def busy(self) -> int:
        """Tell how many slots are at work, as the worker itself sees it."""
        reply = await self.upstream.request("GET", "/slots")
        return sum(slot["is_processing"] for slot in msgspec.json.decode(reply.body))

    async def failure(self) -> str:
        """Return, with the reason, once the worker has died."""
        if self._worker is None:
            raise EngineError(f"model {self.model!r} was never loaded")
        return await self._worker.wait()

    async def close(self) -> None:
        """End the worker and free its memory."""
        await super().close()
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()


async def _has_died(worker: WorkerProcess) -> bool:
    """Tell whether the worker is gone, with a moment's patience for the news to arrive."""
    if worker.is_running():
        try:
            await asyncio.wait_for(worker.wait(), _DEATH_NOTICE_S)
        except TimeoutError:
            return False
    return True
