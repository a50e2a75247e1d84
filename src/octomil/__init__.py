"""Octomil: run, route, ship and train AI models on your own machines."""

from importlib import import_module

from octomil._version import __version__

_HOMES = {
    "Client": "octomil.sdk.client",
    "EmbeddingUsage": "octomil.inference.embeddings",
    "ModelInfo": "octomil.routing.tiers",
    "ModelRegistry": "octomil.sdk.model_registry",
    "OctomilClientError": "octomil.errors",
    "QueryRouter": "octomil.routing.router",
    "StreamToken": "octomil.inference.tokens",
    "assign_tiers": "octomil.routing.tiers",
    "embed": "octomil.inference.embeddings",
    "stream_inference": "octomil.inference.streaming",
    "stream_inference_async": "octomil.inference.streaming",
}

__all__ = [
    "Client",
    "EmbeddingUsage",
    "ModelInfo",
    "ModelRegistry",
    "OctomilClientError",
    "QueryRouter",
    "StreamToken",
    "__version__",
    "assign_tiers",
    "embed",
    "stream_inference",
    "stream_inference_async",
]


def __getattr__(name: str) -> object:
    """Import a documented name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
