"""A deterministic engine for demos and tests: it says the last message back.

It honours every usual parameter in a way that can be checked: a word is a token, `max_tokens` cuts,
`stop` stops, `seed` and `temperature` permute the words, a JSON schema gets a minimal instance, and
a required tool gets called.
"""

import asyncio
import random
import re
import zlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

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
from octomil.errors import ContextLengthError, EngineUnavailableError, InvalidRequestError

_DIMENSIONS = 16
_WORD = re.compile(r"\s*\S+")
_LARGEST_INSTANCE = 1000  # values of an answer that fits a schema
_DEEPEST_INSTANCE = 64
_encode = msgspec.json.Encoder().encode


class EchoEngine(Deathless):
    """Says the last message back, word by word.

    Args:
        name: the model name in its answers.
        context_tokens: words of prompt and answer together; where they are full the answer ends.
        delay_s: pause before each word, to look at a stream.
    """

    def __init__(self, name: str = "echo", *, context_tokens: int = 8192, delay_s: float = 0.0):
        self.name = name
        self._delay_s = delay_s
        self._loaded = False
        self._busy = 0
        self._capabilities = Capabilities(
            embeddings=True, gathers=True, context_tokens=context_tokens, max_concurrency=64
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do."""
        return self._capabilities

    async def load(self, progress: Progress) -> None:
        """Make the engine ready, at once."""
        progress(f"{self.name}: ready")
        self._loaded = True

    async def generate(self, request: GenerationRequest) -> Completion:
        """Answer in one piece."""
        return await gather(request.endpoint, self.stream(request))

    def stream(self, request: GenerationRequest) -> EventStream:
        """Answer word by word."""
        usage = Usage()
        return EventStream(self._events(request, usage), usage)

    async def _events(
        self, request: GenerationRequest, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        self._check_loaded()
        prompts = prompt_texts(request)
        tokens = [len(prompt.split()) for prompt in prompts]
        usage.prompt_tokens = sum(tokens)
        limit = self._capabilities.context_tokens or 0
        if max(tokens) > limit:
            raise ContextLengthError(
                f"the prompt has {max(tokens)} tokens, more than the context of {limit}"
            )
        rooms = [limit - count for count in tokens]
        repeats = range(request.body.get("n") or 1)
        answers = [pair for pair in zip(prompts, rooms, strict=True) for _ in repeats]
        self._busy += 1
        try:
            for index, (prompt, room) in enumerate(answers):
                async for event in self._choice(request, prompt, room, index, usage):
                    yield event
        finally:
            self._busy -= 1
        if request.wants_usage:
            yield self._event(request, [], usage=usage_json(usage))

    async def _choice(
        self, request: GenerationRequest, prompt: str, room: int, index: int, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        chat = request.endpoint == "chat/completions"
        call = _forced_call(request.body) if chat else None
        if call is not None:
            usage.completion_tokens += 1
            usage.finish_reason = "tool_calls"
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
            yield self._event(request, [_choice(index, delta=delta)])
            yield self._event(request, [_choice(index, delta={}, finish_reason="tool_calls")])
            return
        text = (_structured(request.body) if chat else None) or prompt
        words, usage.finish_reason = _answer_words(request.body, text, index, room)
        if chat:
            role = {"role": "assistant", "content": ""}
            yield self._event(request, [_choice(index, delta=role)])
        for word in words:
            await asyncio.sleep(self._delay_s)
            usage.completion_tokens += 1
            said: dict[str, Any] = {"delta": {"content": word}} if chat else {"text": word}
            if request.body.get("logprobs"):
                said["logprobs"] = _logprobs(word, chat=chat)
            yield self._event(request, [_choice(index, **said)])
        end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        yield self._event(request, [_choice(index, **end, finish_reason=usage.finish_reason)])

    def _event(self, request: GenerationRequest, choices: list[Any], **more: Any) -> bytes:
        return encode_chunk(request, self.name, choices, **more)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Hash words into a unit vector of 16 numbers: equal texts, equal vectors."""
        self._check_loaded()
        return Embeddings([_vector(text) for text in texts], sum(len(t.split()) for t in texts))

    async def tokens(self, text: str) -> int:
        """Count words."""
        return len(text.split())

    async def busy(self) -> int:
        """Tell how many answers are being made."""
        return self._busy

    async def close(self) -> None:
        """Forget that it was loaded."""
        self._loaded = False

    def _check_loaded(self) -> None:
        if not self._loaded:
            raise EngineUnavailableError(f"model {self.name!r} is not loaded")


def prompt_texts(request: GenerationRequest) -> list[str]:
    """Return what the engine echoes: the last message's text, or each of the prompts."""
    if request.endpoint == "completions":
        prompt = request.body["prompt"]
        return [prompt] if isinstance(prompt, str) else prompt
    content = request.body["messages"][-1].get("content") or ""
    if isinstance(content, str):
        return [content]
    return [" ".join(part.get("text") or "" for part in content)]


def _choice(index: int, *, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, **more, "finish_reason": finish_reason}


def _answer_words(body: dict[str, Any], text: str, index: int, room: int) -> tuple[list[str], str]:
    words = _WORD.findall(text)
    if body.get("temperature") and "response_format" not in body:
        seed = body.get("seed")
        random.Random(f"{seed}-{index}" if seed is not None else None).shuffle(words)
    stops = body.get("stop") or []
    for i, word in enumerate(words):
        if any(stop in word for stop in ([stops] if isinstance(stops, str) else stops)):
            words = words[:i]
            break
    limit = min(body.get("max_completion_tokens") or body.get("max_tokens") or room, room)
    if limit < len(words):
        return words[:limit], "length"
    return words, "stop"


def _structured(body: dict[str, Any]) -> str | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return "{}"
    if wanted.get("type") == "json_schema":
        return _encode(_Instances().of(wanted["json_schema"].get("schema") or {})).decode()
    return None


class _Instances:
    """Makes the smallest values that fit plain schemas, within a budget of values."""

    def __init__(self) -> None:
        self._left = _LARGEST_INSTANCE

    def of(self, schema: Any, depth: int = 0) -> Any:
        """Return the smallest value that fits `schema`; null where no plain rule tells.

        Raises:
            InvalidRequestError: that value is too large or too deep.
        """
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST_INSTANCE:
            raise InvalidRequestError(
                f"the smallest answer that fits the schema has more than {_LARGEST_INSTANCE} "
                f"values, or more than {_DEEPEST_INSTANCE} levels",
                param="response_format",
            )
        if not isinstance(schema, dict):
            return None
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if isinstance(kind, list):
            kind = kind[0] if kind else "null"
        if kind == "object":
            parts = schema.get("properties")
            parts = parts if isinstance(parts, dict) else {}
            return {name: self.of(part, depth + 1) for name, part in parts.items()}
        if kind == "array":
            count = schema.get("minItems")
            count = count if isinstance(count, int) else 0
            return [self.of(schema.get("items"), depth + 1) for _ in range(count)]
        plain = {"string": "", "integer": 0, "number": 0.0, "boolean": False}
        return plain.get(kind) if isinstance(kind, str) else None


def _forced_call(body: dict[str, Any]) -> dict[str, Any] | None:
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    names = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, dict):
        names = [choice["function"]["name"]]
    elif choice != "required":
        return None
    parameters: dict[str, Any] = {}
    for tool in tools:
        if tool["function"]["name"] == names[0]:
            parameters = tool["function"].get("parameters") or {}
    arguments = _encode(_Instances().of(parameters)).decode()
    function = {"name": names[0], "arguments": arguments}
    return {"index": 0, "id": "call_echo", "type": "function", "function": function}


def _logprobs(word: str, *, chat: bool) -> dict[str, Any]:
    if chat:
        entry = {"token": word, "bytes": list(word.encode()), "logprob": 0.0, "top_logprobs": []}
        return {"content": [entry]}
    return {"tokens": [word], "token_logprobs": [0.0], "top_logprobs": None, "text_offset": [0]}


def _vector(text: str) -> list[float]:
    vector = [0.0] * _DIMENSIONS
    for word in text.lower().split() or [""]:
        vector[zlib.crc32(word.encode()) % _DIMENSIONS] += 1.0
    norm = sum(x * x for x in vector) ** 0.5
    return [x / norm for x in vector]
