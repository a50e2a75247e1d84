"""Octomil: run, route, ship and train AI models on your own machines."""

from importlib import import_module

from octomil._version import __version__

_HOMES = {
    "Client": "octomil.sdk.client",
    "ModelInfo": "octomil.routing.tiers",
    "ModelRegistry": "octomil.sdk.model_registry",
    "OctomilClientError": "octomil.errors",
    "QueryRouter": "octomil.routing.router",
    "assign_tiers": "octomil.routing.tiers",
}

__all__ = [
    "Client",
    "ModelInfo",
    "ModelRegistry",
    "OctomilClientError",
    "QueryRouter",
    "__version__",
    "assign_tiers",
]


def __getattr__(name: str) -> object:
    """Import a documented name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
