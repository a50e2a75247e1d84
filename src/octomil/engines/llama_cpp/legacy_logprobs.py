"""What OpenAI's older text endpoint promises and llama.cpp answers differently.

Log-probabilities come as parallel lists instead of chat's list of objects, and `echo` puts the
prompt before its continuation. Chat's own form passes through here only to lose alternatives that
nobody asked for.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from octomil.http.sse import encode_event, event_data

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class LegacyForm:
    """What a request to `/v1/completions` asks of the form of its answer.

    Attributes:
        prompts: the texts to continue.
        per_prompt: choices for each prompt, the request's `n`; choices are numbered prompt by
            prompt.
        echo: whether each text starts with its prompt.
        alternatives: likeliest tokens to report for each place, in addition to the chosen one.
    """

    prompts: Sequence[str]
    per_prompt: int = 1
    echo: bool = False
    alternatives: int = 0
    _offsets: dict[int, int] = field(default_factory=dict)

    def rewrite(self, choice: dict[str, Any]) -> None:
        """Bring one chunk's choice into the older form, in place."""
        index = choice["index"]
        prompt = self.prompts[index // self.per_prompt]
        if self.echo and index not in self._offsets:
            choice["text"] = prompt + (choice.get("text") or "")
        offset = self._offsets.setdefault(index, len(prompt))
        found = choice.get("logprobs")
        if found:
            legacy = legacy_logprobs(found["content"], offset, self.alternatives)
            self._offsets[index] = offset + sum(map(_length, found["content"]))
            choice["logprobs"] = legacy


def in_legacy_form(
    events: AsyncGenerator[bytes, None], form: LegacyForm
) -> AsyncGenerator[bytes, None]:
    """Relay `events`, with every choice in the older form."""
    return _with_choices(events, form.rewrite)


def without_alternatives(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Relay chat `events` with the log-probability of the chosen tokens only."""
    return _with_choices(events, _drop_alternatives)


async def _with_choices(
    events: AsyncGenerator[bytes, None], rewrite: Callable[[dict[str, Any]], None]
) -> AsyncGenerator[bytes, None]:
    """Relay `events` with every choice rewritten in place."""
    async with aclosing(events):
        async for block in events:
            for data in event_data(block):
                chunk = _decode(data)
                for choice in chunk.get("choices", ()):
                    rewrite(choice)
                yield encode_event(_encode(chunk))


def _drop_alternatives(choice: dict[str, Any]) -> None:
    for entry in (choice.get("logprobs") or {}).get("content") or ():
        entry["top_logprobs"] = []


def legacy_logprobs(
    content: Sequence[dict[str, Any]], offset: int, alternatives: int
) -> dict[str, Any]:
    """Turn chat's `logprobs.content` into the older four lists.

    Args:
        content: one object per token: `token`, `bytes`, `logprob`, `top_logprobs`.
        offset: characters before the first token, the prompt's included.
        alternatives: how many of the likeliest tokens to keep; for 0, `top_logprobs` is None. The
            chosen token is always among them, so there may be one more.

    Example:
        >>> cat = {"token": " cat", "bytes": [32, 99, 97, 116], "logprob": -0.5, "top_logprobs": []}
        >>> legacy_logprobs([cat], 3, 0)["text_offset"]
        [3]
    """
    offsets, tops = [], []
    for entry in content:
        offsets.append(offset)
        offset += _length(entry)
        top = {_text(e): e["logprob"] for e in entry["top_logprobs"][:alternatives]}
        tops.append({**top, _text(entry): entry["logprob"]})
    return {
        "tokens": [_text(entry) for entry in content],
        "token_logprobs": [entry["logprob"] for entry in content],
        "top_logprobs": tops if alternatives else None,
        "text_offset": offsets,
    }


def _text(entry: dict[str, Any]) -> str:
    r"""Return a token as OpenAI shows it: `bytes:\xf0` where it is a part of a character."""
    raw = bytes(entry.get("bytes") or ())
    try:
        return raw.decode() or str(entry["token"])
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _length(entry: dict[str, Any]) -> int:
    """Return how many characters a token adds to the text; a part of a character adds none."""
    text = _text(entry)
    return 0 if text.startswith("bytes:\\x") else len(text)
