"""The engine: a worker process, spoken to in OpenAI's form."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from octomil.engines.base import Capabilities, Completion, GenerationRequest, Progress, Usage
from octomil.engines.gather import gather
from octomil.engines.llama_cpp.legacy_logprobs import (
    LegacyForm,
    in_legacy_form,
    without_alternatives,
)
from octomil.engines.llama_cpp.process import WorkerProcess
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.engines.llama_cpp.tool_calls import lift_tool_calls, tool_use
from octomil.engines.openai_wire import OpenAIWireEngine
from octomil.engines.relay import error_from
from octomil.engines.upstream import Upstream, open_upstream
from octomil.errors import (
    EngineCrashedError,
    EngineError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)

_FORWARDED = frozenset(
    (
        *("messages", "prompt", "stop", "n", "seed"),
        *("temperature", "top_p", "top_k", "min_p", "typical_p"),
        *("presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n", "logit_bias"),
        "response_format",
    )
)
"""What a client may set and llama.cpp takes as it is. The rest of llama.cpp's own fields stay ours:
some of them bypass limits, and some abort the process."""

_UNREADABLE = re.compile(r"Failed to parse (?:messages|tool call arguments).{,300}", re.DOTALL)
"""How llama.cpp complains of a conversation; its status says that the fault were its own."""

_DEATH_NOTICE_S = 1.0


class LlamaCppEngine(OpenAIWireEngine):
    """A GGUF model in a worker process of its own."""

    prefix = "/v1"
    usage_per_choice = True

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec.name, capabilities=_capabilities(spec))
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
            upstream = open_upstream("http://worker", api_key=worker.key, unix_socket=worker.socket)
            props = await self._ask(upstream, "GET", "/props")
        except BaseException:
            await worker.stop()
            raise
        self._worker, self._upstream = worker, upstream
        template = props.get("chat_template_caps") or {}
        self._capabilities = replace(
            _capabilities(self.spec),
            tools=self.spec.kind == "chat" and bool(template.get("supports_tools")),
            context_tokens=props["default_generation_settings"]["n_ctx"],
            max_concurrency=props["total_slots"],
        )

    def prepare(self, request: GenerationRequest) -> dict[str, Any]:
        """Keep what clients may set, and ask for progress, which makes a prefill cancellable."""
        asked = request.body
        self._refuse(asked)
        body = {key: value for key, value in asked.items() if key in _FORWARDED}
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
        if limit is not None:
            body["max_tokens"] = limit
        if asked.get("seed") is not None:  # 32 bits there, and all of them set mean any seed
            body["seed"] = asked["seed"] % (2**32 - 1)
        if _wants_logprobs(request):  # under its OpenAI names, 0 means none and no number means 20
            body["n_probs"] = max(1, _alternatives(request))
        body |= _tool_fields(asked)
        return body | {"model": self.model, "return_progress": True}

    def _refuse(self, asked: Mapping[str, Any]) -> None:
        """Refuse what llama.cpp would ignore or fail on."""
        if (asked.get("n") or 1) > self.spec.slots:
            raise InvalidRequestError(
                f"n must be at most {self.spec.slots}, the slots of model {self.model!r}", param="n"
            )
        if asked.get("top_logprobs") and not asked.get("logprobs"):
            raise InvalidRequestError("top_logprobs needs logprobs: true", param="top_logprobs")
        if asked.get("suffix"):
            raise InvalidRequestError("suffix is not supported: leave it out", param="suffix")
        if asked.get("echo") and asked.get("logprobs") is not None:
            raise InvalidRequestError(
                "echo with logprobs is not supported, as llama.cpp does not score the prompt's "
                "tokens: leave one of them out",
                param="echo",
            )

    async def generate(self, request: GenerationRequest) -> Completion:
        """Stream inside and gather, because only a stream can be cancelled."""
        return await gather(request.endpoint, self.stream(request))

    async def _events(
        self, request: GenerationRequest, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        events = _in_clients_form(super()._events(request, usage), request, usage)
        worker = self._worker
        try:
            async for block in events:
                yield block
        except (GenerationError, EngineUnavailableError) as error:
            if unreadable := _UNREADABLE.search(str(error)):
                raise InvalidRequestError(unreadable[0], param="messages") from error
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
        asked = msgspec.json.encode({"content": text})
        told = await self._ask(self.upstream, "POST", "/tokenize", asked)
        return len(told["tokens"])

    async def busy(self) -> int:
        """Tell how many slots are at work, as the worker itself sees it."""
        slots = await self._ask(self.upstream, "GET", "/slots")
        return sum(slot["is_processing"] for slot in slots)

    async def _ask(
        self, upstream: Upstream, method: str, path: str, body: bytes | None = None
    ) -> Any:
        """Ask the worker something about itself.

        Raises:
            EngineError: it does not answer, or not with success.
        """
        reply = await upstream.request(method, path, body)
        if reply.status != 200:
            raise error_from(reply.status, reply.body, self.model, reply.retry_after_s)
        return msgspec.json.decode(reply.body)

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


def _capabilities(spec: WorkerSpec) -> Capabilities:
    """Return what a model of this kind can do, as far as that is known before it is loaded."""
    chats, writes = spec.kind == "chat", spec.kind != "embedding"
    return Capabilities(
        chat=chats,
        completions=writes,
        embeddings=not writes,
        tools=chats,
        logprobs=writes,
        structured_output=chats,
        gathers=True,
        context_tokens=spec.context_tokens,
        max_concurrency=spec.slots,
    )


def _wants_logprobs(request: GenerationRequest) -> bool:
    """Tell whether log-probabilities are asked for: chat says so, the older endpoint counts."""
    asked = request.body.get("logprobs")
    return bool(asked) if request.endpoint == "chat/completions" else asked is not None


def _alternatives(request: GenerationRequest) -> int:
    chat = request.endpoint == "chat/completions"
    return request.body.get("top_logprobs" if chat else "logprobs") or 0


def _tool_fields(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes the model see its tools, and call one where it must."""
    use = tool_use(asked)
    if use is None:
        return {}
    if use.schema is None:
        return {"tools": asked["tools"], "parallel_tool_calls": use.parallel}
    # Given to the template alone, llama.cpp adds no grammar of its own beside the schema's.
    return {
        "chat_template_kwargs": {"tools": asked["tools"]},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "tool_calls", "schema": use.schema},
        },
    }


def _in_clients_form(
    events: AsyncGenerator[bytes, None], request: GenerationRequest, usage: Usage
) -> AsyncGenerator[bytes, None]:
    """Rewrite llama.cpp's `events` where its form is not OpenAI's."""
    body = request.body
    if request.endpoint == "completions":
        if not (body.get("echo") or _wants_logprobs(request)):
            return events
        prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
        return in_legacy_form(
            events,
            LegacyForm(
                prompts=prompts,
                per_prompt=body.get("n") or 1,
                echo=bool(body.get("echo")),
                alternatives=_alternatives(request),
            ),
        )
    if _wants_logprobs(request) and not _alternatives(request):
        events = without_alternatives(events)
    use = tool_use(body)
    return events if use is None else lift_tool_calls(events, use, usage)


async def _has_died(worker: WorkerProcess) -> bool:
    """Tell whether the worker is gone, with a moment's patience for the news to arrive."""
    if worker.is_running():
        try:
            await asyncio.wait_for(worker.wait(), _DEATH_NOTICE_S)
        except TimeoutError:
            return False
    return True
