"""Models asked through the control plane: tokens one by one, whole answers, embeddings."""

from importlib import import_module

_HOMES = {
    "EmbeddingResult": "octomil.inference.embeddings",
    "EmbeddingUsage": "octomil.inference.embeddings",
    "InferenceResult": "octomil.inference.answers",
    "StreamToken": "octomil.inference.tokens",
    "StreamingInferenceClient": "octomil.inference.streaming_client",
    "StreamingInferenceResult": "octomil.inference.stream_meter",
    "TokenUsage": "octomil.wire.inference",
    "complete": "octomil.inference.answers",
    "embed": "octomil.inference.embeddings",
    "stream_inference": "octomil.inference.streaming",
    "stream_inference_async": "octomil.inference.streaming",
}

__all__ = [
    "EmbeddingResult",
    "EmbeddingUsage",
    "InferenceResult",
    "StreamToken",
    "StreamingInferenceClient",
    "StreamingInferenceResult",
    "TokenUsage",
    "complete",
    "embed",
    "stream_inference",
    "stream_inference_async",
]


def __getattr__(name: str) -> object:
    """Import a name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
