"""Relaying a server's event stream to a client: pure, fed with whatever bytes arrive.

Blocks pass as they are; only one that carries usage, an error, progress or the end is taken apart.
"""

import re
from typing import Any

import msgspec

from octomil.engines.base import Usage
from octomil.errors import (
    ContextLengthError,
    EngineRefusedError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)
from octomil.http.sse import SseFramer, encode_event, event_data

_MARKS = (
    *(b'"usage":{', b'"usage": {'),
    *(b'"finish_reason":"', b'"finish_reason": "'),
    *(b"[DONE]", b'"error":', b'"prompt_progress"'),
)
"""Marks of a block that is more than text; JSON escapes quotes, so text rarely forges one."""

_PIECE = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|text|arguments)": ?"(?!")')
"""Where a chunk says something; as above, text cannot forge it."""

_OTHER = re.compile(rb'"delta": ?\{"(?!role"|content")\w+": ?+(?!null|"")')
"""Where a chunk tells something else, such as sound; looked for as long as there were no pieces."""

_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""Codes or types by which OpenAI and llama.cpp say that a prompt does not fit."""


class _WireDetails(msgspec.Struct):
    cached_tokens: int | None = 0


class _WireUsage(msgspec.Struct):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _WireDetails | None = None


class _WireChoice(msgspec.Struct):
    index: int | None = 0
    finish_reason: str | None = None


class _WireAnswer(msgspec.Struct):
    usage: _WireUsage | None = None
    choices: list[_WireChoice] | None = None
    error: Any = None


_decode_answer = msgspec.json.Decoder(_WireAnswer).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class EventRelay:
    """Turns the bytes of one upstream stream into events for the client.

    Args:
        model: named in errors.
        usage: filled in as the stream tells; until it does, a chunk that says something is taken
            for a token, so that a stream which is cut short loses none.
        wants_usage: whether the client asked for a usage chunk; it gets exactly one, at the end.
        choices_per_prompt: how many choices each prompt gets, from a server that reports the usage
            of each choice on its own; None from one that adds them up.
    """

    def __init__(
        self,
        model: str,
        usage: Usage,
        *,
        wants_usage: bool,
        choices_per_prompt: int | None = None,
    ) -> None:
        self._model = model
        self._usage = usage
        self._wants_usage = wants_usage
        self._choices_per_prompt = choices_per_prompt
        self._prompts: dict[int, Usage] = {}
        self._pieces = self._others = self._told = 0
        self._framer = SseFramer()
        self._ended = False
        self._last: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that `chunk` completes, as the client gets them; may be empty.

        Raises:
            EngineError: the server reports an error inside the stream, or talks nonsense.
        """
        block = self._framer.feed(chunk)
        self._pieces += len(_PIECE.findall(block))
        if not self._pieces:
            self._others += len(_OTHER.findall(block))
        counted = self._pieces or self._others
        self._usage.completion_tokens = max(self._usage.completion_tokens, counted)
        for mark in _MARKS:
            if mark in block:
                return self._open(block)
        return block

    def finish(self) -> bytes:
        """Return what is left to say once the server closed the stream: the usage chunk.

        Raises:
            GenerationError: the stream broke off before its end.
        """
        if not self._ended and self._usage.finish_reason is None:
            raise GenerationError(f"the stream of model {self._model!r} broke off before its end")
        self._usage.completion_tokens = self._told or self._pieces or self._others
        if not (self._wants_usage and self._last):
            return b""
        head = {k: self._last[k] for k in ("id", "object", "created", "model") if k in self._last}
        usage = usage_json(self._usage)
        return encode_event(_encode({**head, "choices": [], "usage": usage}))

    def _open(self, block: bytes) -> bytes:
        kept = []
        for data in event_data(block):
            if data == b"[DONE]":
                self._ended = True
            elif any(mark in data for mark in _MARKS):
                kept.append(self._take_in(data))
            else:
                kept.append(encode_event(data))
        return b"".join(kept)

    def _take_in(self, data: bytes) -> bytes:
        """Take in what one event tells, and return what of it the client gets."""
        answer = _read(data, self._model)
        event: dict[str, Any] = _decode(data)
        if "prompt_progress" in event:
            return b""
        if answer.choices:
            self._usage.finish_reason = answer.choices[0].finish_reason or self._usage.finish_reason
        if answer.usage is None:
            return encode_event(data)
        self._count(answer)
        self._last = event
        del event["usage"]
        event.pop("timings", None)
        return encode_event(_encode(event)) if answer.choices else b""

    def _count(self, answer: _WireAnswer) -> None:
        """Take in a report of usage: the sum, or one choice's part of it."""
        if self._choices_per_prompt is None:
            _take_usage(answer, self._usage)
            self._told = self._usage.completion_tokens
            return
        index = (answer.choices[0].index if answer.choices else 0) or 0
        told = Usage()
        _take_usage(answer, told)
        # Every choice of a prompt reports that prompt again, which was read once.
        self._prompts[index // self._choices_per_prompt] = told
        prompts = self._prompts.values()
        self._usage.prompt_tokens = sum(prompt.prompt_tokens for prompt in prompts)
        self._usage.cached_tokens = sum(prompt.cached_tokens for prompt in prompts)
        self._told += told.completion_tokens
        self._usage.completion_tokens = max(self._told, self._pieces)


def _read(data: bytes, model: str) -> _WireAnswer:
    """Read an answer or a chunk of one.

    Raises:
        EngineError: it reports an error, or makes no sense.
    """
    try:
        answer = _decode_answer(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GenerationError(f"model {model!r} answered what makes no sense: {error}") from error
    if answer.error:
        raise error_from(error_status(answer.error), data, model)
    return answer


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return `usage` in OpenAI's form."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def read_answer(body: bytes, model: str) -> Usage:
    """Check a whole answer, as far as this process must understand it, and return what it used.

    Raises:
        EngineError: it is an error in spite of its status, or no answer at all.
    """
    answer = _read(body, model)
    if not answer.choices:
        raise GenerationError(f"model {model!r} sent an answer without choices")
    usage = Usage(finish_reason=answer.choices[0].finish_reason)
    _take_usage(answer, usage)
    return usage


def _take_usage(answer: _WireAnswer, usage: Usage) -> None:
    if answer.usage is None:
        return
    usage.prompt_tokens = answer.usage.prompt_tokens or 0
    usage.completion_tokens = answer.usage.completion_tokens or 0
    if answer.usage.prompt_tokens_details is not None:
        usage.cached_tokens = answer.usage.prompt_tokens_details.cached_tokens or 0


def error_from(
    status: int, body: bytes, model: str, retry_after_s: float | None = None
) -> Exception:
    """Turn a server's refusal into the error that says what happened, and to which model."""
    message, code, kind, param = _error_parts(body)
    if not _TOO_LONG.isdisjoint((code, kind)):
        return ContextLengthError(f"{message} (model {model!r})")
    if status in (401, 403):
        return EngineUnavailableError(f"the server of model {model!r} refuses our key: {message}")
    if status == 404:
        return EngineUnavailableError(f"the server has no model {model!r}: {message}")
    if status in (408, 429, 503):
        text = f"the server of model {model!r} is busy: {message}"
        return EngineUnavailableError(text, retry_after_s=retry_after_s or 1.0)
    if 400 <= status < 500:
        return InvalidRequestError(message, param=param, code=code, status=status)
    return EngineRefusedError(f"model {model!r} failed with status {status}: {message}")


def error_code(body: bytes) -> str | None:
    """Return the code by which an answer says what is wrong; None if it does not."""
    return _error_parts(body)[1]


def error_status(error: Any) -> int:
    """Return the HTTP status that fits an error inside of a stream."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _error_parts(body: bytes) -> tuple[str, str | None, str | None, str | None]:
    """Return message, code, type and parameter of an error, as far as they are there."""
    try:
        error = _decode(body)["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return body[:300].decode(errors="replace") or "no reason given", None, None, None
    if not isinstance(error, dict):
        return str(error), None, None, None
    message = str(error.get("message") or "no reason given")
    code, kind, param = (
        value if isinstance(value, str) else None
        for value in map(error.get, ("code", "type", "param"))
    )
    return message, code, kind, param
