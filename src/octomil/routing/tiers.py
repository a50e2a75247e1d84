"""Tiers of models, and who belongs to which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from octomil.errors import ConfigurationError

FAST, BALANCED, QUALITY = "fast", "balanced", "quality"

TIER_NUMBERS: Mapping[str, int] = MappingProxyType(
    {"deterministic": 0, FAST: 1, BALANCED: 2, QUALITY: 3}
)
"""What `X-Octomil-Routing-Tier` says for each tier."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the router sees it.

    Attributes:
        name: the name requests use.
        tier: `fast`, `balanced` or `quality`.
        param_b: parameters in billions; 0 where unknown.
    """

    name: str
    tier: str
    param_b: float = 0.0

    def __post_init__(self) -> None:
        if self.tier not in (FAST, BALANCED, QUALITY):
            raise ConfigurationError(
                f"tier of {self.name!r} must be 'fast', 'balanced' or 'quality', got {self.tier!r}"
            )


def assign_tiers(
    names: Sequence[str], *, params_b: Mapping[str, float] | None = None
) -> dict[str, ModelInfo]:
    """Give each model its tier by position, smallest first.

    One model is `fast`; two are `fast` and `quality`; of more, the first is `fast`, the last
    `quality`, the rest `balanced`.

    Raises:
        ConfigurationError: no names, or one name twice.

    Example:
        >>> [m.tier for m in assign_tiers(["small", "medium", "large"]).values()]
        ['fast', 'balanced', 'quality']
    """
    if not names:
        raise ConfigurationError("no models to assign tiers to; name at least one")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"model {twice!r} is named twice")
    last = len(names) - 1
    sizes = params_b or {}
    return {
        name: ModelInfo(
            name,
            FAST if i == 0 else QUALITY if i == last else BALANCED,
            sizes.get(name, 0.0),
        )
        for i, name in enumerate(names)
    }
