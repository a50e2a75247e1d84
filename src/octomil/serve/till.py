"""What answers cost: prices by model, and no more than the day's cap."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from octomil.engines.base import Usage
from octomil.routing.prices import FREE, Price
from octomil.serve.spend_ledger import Reservation
from octomil.serve.spending import SpendCap
from octomil.serve.token_estimates import (
    ASSUMED_ANSWER_TOKENS,
    answer_limit,
    likely_prompt_tokens,
    most_answer_tokens,
    most_prompt_tokens,
)


class Bill:
    """What one try at a request costs.

    Used as `async with`, it sets aside what the try may cost, and puts what it did cost, as charged
    until then, in its place at the end. Entering raises `SpendCapReachedError` if it may cost more
    than is left today.

    Args:
        price: the model's; None where nobody knows.
        body: the request.
        cap: what the try counts towards; None for a try that costs nothing, or nothing known.
    """

    def __init__(
        self, price: Price | None, body: Mapping[str, Any], cap: SpendCap | None = None
    ) -> None:
        self._price = price
        self._body = body
        self._cap = cap
        self._reservation: Reservation | None = None
        self.usd = None if price is None else 0.0

    async def __aenter__(self) -> Self:
        if self._cap is not None and self._price is not None:
            self._reservation = await self._cap.reserve(_most_usd(self._price, self._body))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._cap is not None and self._reservation is not None:
            self._cap.settle(self._reservation, self.usd or 0.0)

    @property
    def limit(self) -> int | None:
        """Tokens that the model must be told to stop at; None leaves the request as it is.

        There are some where the client sets no limit and a cap counts on one.
        """
        return None if self._cap is None or answer_limit(self._body) else ASSUMED_ANSWER_TOKENS

    @property
    def has_price(self) -> bool:
        """Whether a price is known, be it none at all."""
        return self._price is not None

    def charge(self, usage: Usage, *, is_cut: bool = False) -> float | None:
        """Note the tokens that were used, and return their cost; None where no price is known.

        Where the engine did not tell how long the prompt was, an estimate is put into `usage`,
        since it was read all the same.

        Args:
            usage: what the engine counted.
            is_cut: whether the answer was cut short. Of one that ended well, the prompt is worth
                an estimate only if it costs.
        """
        price = self._price
        if not usage.prompt_tokens and (is_cut or not (price is None or price is FREE)):
            usage.prompt_tokens = likely_prompt_tokens(self._body)
        if price is not None:
            self.usd = price.cost_usd(usage.prompt_tokens, usage.completion_tokens)
        return self.usd


class Till:
    """Bills tries at requests.

    Args:
        prices: by model; a model without one has no known price.
        cap: what paid models may cost a day; None for no limit.
    """

    def __init__(
        self, prices: Mapping[str, Price] | None = None, cap: SpendCap | None = None
    ) -> None:
        # One object for all that is free, so that a request can tell by a glance.
        self._prices = {
            name: FREE if price == FREE else price for name, price in (prices or {}).items()
        }
        self.cap = cap

    def open(self, name: str, body: Mapping[str, Any]) -> Bill:
        """Return the bill for a model's try at a request."""
        price = self._prices.get(name)
        return Bill(price, body, None if price is None or price is FREE else self.cap)

    def costs_nothing(self, name: str) -> None:
        """Note that a model that has come to be served runs on this machine."""
        self._prices.setdefault(name, FREE)

    def can_afford(self, name: str, body: Mapping[str, Any]) -> bool:
        """Guess whether a model could be asked now without exceeding the cap; its bill decides."""
        price = self._prices.get(name)
        if self.cap is None or price is None or price is FREE:
            return True
        return self.cap.has_room(_most_usd(price, body))

    def close(self) -> None:
        """Write what was spent, and close the ledger, if there is one."""
        if self.cap is not None:
            self.cap.close()


def _most_usd(price: Price, body: Mapping[str, Any]) -> float:
    """Return the most that a request can cost."""
    return price.cost_usd(most_prompt_tokens(body), most_answer_tokens(body))
