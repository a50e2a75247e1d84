"""The policy that published clients route queries by: words, counted and looked for.

They cannot run the complexity model, so they get what can be said of it in words. Whoever wants the
model's own judgement asks a serving node, or `QueryRouter`.
"""

from dataclasses import dataclass, field
from typing import Final

from octomil.routing.lexicon import CODING, REASONING, TECHNICAL

_SHORTEST = 6
"""Clients look for these words anywhere in a text: `api` would be found in `capital`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPolicy:
    """How a client scores a query from 0 to 1, and what the score means.

    Attributes:
        version: grows when the meaning of anything here changes.
        fast_max_words: a text of fewer words is short.
        quality_min_words: one of as many words is long; its length counts in full.
        complex_indicators: words that tell of a hard query, in lower case.
        indicator_normalizor: so many of them count in full.
        length_weight: share of the length in the score.
        indicator_weight: share of the words.
        fast_threshold: below it the smallest model answers.
        quality_threshold: from it on the strongest one does.
        deterministic_enabled: whether arithmetic is answered without a model.
        ttl_seconds: so long a client may go by it.
    """

    version: int = 1
    fast_max_words: int = 10
    quality_min_words: int = 50
    complex_indicators: tuple[str, ...] = field(
        default_factory=lambda: tuple(
            sorted(word for word in CODING | REASONING | TECHNICAL if len(word) >= _SHORTEST)
        )
    )
    indicator_normalizor: float = 3.0
    length_weight: float = 0.5
    indicator_weight: float = 0.5
    fast_threshold: float = 0.3
    quality_threshold: float = 0.7
    deterministic_enabled: bool = True
    ttl_seconds: int = 3600


POLICY: Final = RoutingPolicy()
"""Numbers are the published clients' own defaults; the words are those of the complexity model."""
