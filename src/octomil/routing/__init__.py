"""Which model answers a query: pure policy, no I/O."""

from importlib import import_module

_HOMES = {
    "DeterministicAnswer": "octomil.routing.deterministic",
    "ModelInfo": "octomil.routing.tiers",
    "QueryRouter": "octomil.routing.router",
    "RoutingDecision": "octomil.routing.router",
    "assign_tiers": "octomil.routing.tiers",
    "check_deterministic": "octomil.routing.deterministic",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Import a documented name when it is first used: the unit table alone takes a while."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
