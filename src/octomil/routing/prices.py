"""What an answer of a model costs, from the tokens it took."""

import math
from dataclasses import dataclass
from typing import Self

from octomil.errors import ConfigurationError

_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price as its vendor states it.

    Attributes:
        prompt_usd: US dollars for a million prompt tokens.
        completion_usd: US dollars for a million completion tokens.
    """

    prompt_usd: float
    completion_usd: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PROMPT/COMPLETION`, in US dollars for a million tokens each.

        Raises:
            ConfigurationError: it is not two amounts from 0.

        Example:
            >>> Price.parse("0.15/0.6").cost_usd(2_000, 500)
            0.0006
        """
        try:
            prompt, completion = map(float, text.split("/"))
        except ValueError:
            raise _not_a_price(text) from None
        if not all(math.isfinite(usd) and usd >= 0 for usd in (prompt, completion)):
            raise _not_a_price(text)
        return cls(prompt, completion)

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (prompt_tokens * self.prompt_usd + completion_tokens * self.completion_usd) / _TOKENS


FREE = Price(0.0, 0.0)
"""The price of a model on this machine."""


def _not_a_price(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{text!r} is not a price; write US dollars for a million prompt tokens, a slash, and for"
        " a million completion tokens: 0.15/0.6"
    )


def parse_prices(texts: tuple[str, ...]) -> dict[str, Price]:
    """Read `MODEL=PROMPT/COMPLETION` texts.

    Raises:
        ConfigurationError: a text is none, or a model has two prices.
    """
    prices: dict[str, Price] = {}
    for text in texts:
        name, equals, price = text.rpartition("=")
        if not equals or not name:
            raise ConfigurationError(
                f"{text!r} names no model; write MODEL=PROMPT/COMPLETION: openai:NAME=0.15/0.6"
            )
        if name in prices:
            raise ConfigurationError(f"{name!r} has two prices")
        prices[name] = Price.parse(price)
    return prices
