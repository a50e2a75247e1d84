"""Models asked through the control plane: tokens one by one, whole answers, embeddings."""

from importlib import import_module

_HOMES = {
    "StreamingInferenceClient": "octomil.inference.streaming_client",
    "StreamingInferenceResult": "octomil.inference.stream_meter",
}

__all__ = ["StreamingInferenceClient", "StreamingInferenceResult"]


def __getattr__(name: str) -> object:
    """Import a name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
