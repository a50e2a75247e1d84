"""What a request needs of a model, matched with what the model's engine can do."""

from octomil.engines.base import Capabilities
from octomil.routing.requests import Needs

WORDS = {
    "chat": "chat",
    "completions": "text completion",
    "tools": "tools: its chat template has no place for them",
    "logprobs": "log-probabilities",
    "structured_output": "structured output",
    "embeddings": "embeddings",
    "media": "images, sound or files: it reads text only",
}
PARAMS = {
    "tools": "tools",
    "logprobs": "logprobs",
    "structured_output": "response_format",
    "chat": "model",
    "completions": "model",
    "embeddings": "model",
    "media": "messages",
}


def first_missing(capabilities: Capabilities, needs: Needs) -> str:
    """Return the first need that is not met, or nothing; needs are fields of `Capabilities`."""
    for need in needs:
        if not getattr(capabilities, need):
            return need
    return ""
