"""The chunks of an answer, in OpenAI's form, for engines that make them themselves."""

from collections.abc import Sequence
from typing import Any

import msgspec

from octomil.engines.base import GenerationRequest
from octomil.http.sse import encode_event

_encode = msgspec.json.Encoder().encode


def encode_chunk(
    request: GenerationRequest, model: str, choices: Sequence[dict[str, Any]], **more: Any
) -> bytes:
    """Return one chunk of a streamed answer, as an event.

    Args:
        request: what is answered.
        model: the name in the answer.
        choices: what is said of each; none in the chunk that tells the usage.
        **more: other fields.
    """
    chat = request.endpoint == "chat/completions"
    body = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{model}",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": 0,
        "model": model,
        "choices": choices,
        **more,
    }
    return encode_event(_encode(body))
