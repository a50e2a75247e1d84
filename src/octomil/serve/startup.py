"""What the node says while it starts, and how fast each model turns out to be."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

from octomil.engines.base import Engine
from octomil.engines.speed import TOKENS, measure_speed
from octomil.errors import OctomilError
from octomil.models.catalog import format_parameters
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import TIER_NUMBERS
from octomil.serve.node import Node


def tier_line(router: QueryRouter, name: str, size: str) -> str:
    """Return the documented line about one routed model."""
    tier = router.models[name].tier
    return f"  Tier {TIER_NUMBERS[tier]} ({tier}): {name} ({size})"


def describe(parameters: int | None, tokens_per_ms: float | None, owned_by: str) -> str:
    """Return a model's size and speed, as far as they are known.

    Example:
        >>> describe(360_000_000, 2.04, "octomil")
        '360M params, ~2 tok/ms'
    """
    parts = [f"{format_parameters(parameters)} params"] if parameters else []
    if tokens_per_ms:
        parts.append(f"~{_short(tokens_per_ms)} tok/ms")
    return ", ".join(parts) or owned_by


def _short(value: float) -> str:
    """Return a number to one digit, or to the nearest whole, without an exponent."""
    return f"{value:.0f}" if value >= 10 else f"{Decimal(f'{value:.1g}'):f}"


Instead = Callable[[str, OctomilError], Awaitable[object]]
"""Is given a model's name and why it cannot be loaded; puts another in its place, or raises."""


async def load_models(
    node: Node, say: Callable[[str], None], instead: Instead | None = None
) -> None:
    """Load every model, measure it, and say what the documents promise.

    Args:
        node: what is to serve them.
        say: called with each line.
        instead: asked about a model that cannot be loaded; None where there is no other.

    Raises:
        OctomilError: a model cannot be loaded.
    """
    router = node.router
    if router is not None:
        plural = "s" if len(router.models) != 1 else ""
        say(f"[routing] Loading {len(router.models)} model{plural}:")

    async def loaded(name: str, engine: Engine) -> None:
        model = node.models[name]
        speed = await measure_speed(engine) if model.local else None
        if speed:
            node.recorder.stats.observe_speed(name, TOKENS, TOKENS / speed.tokens_per_s)
        tokens_per_ms = speed.tokens_per_s / 1000 if speed else None
        size = describe(model.parameters, tokens_per_ms, model.owned_by)
        if router is not None and name in router.models:
            say(tier_line(router, name, size))
        else:
            say(f"[serve] Loaded {name} ({size})")

    await node.pool.start(loaded, instead)
    if node.on_demand is not None:
        say("[serve] Other models are loaded when a request names them.")
    if router is not None:
        say("[routing] Auto-routing enabled. Queries routed by complexity.")
        if router.deterministic is not None:
            say("[routing] Tier-0 (deterministic): arithmetic, unit conversions")
