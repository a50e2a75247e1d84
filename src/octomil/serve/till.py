"""What answers cost: prices by model, and no more than the day's cap."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from octomil.engines.base import Usage
from octomil.errors import EngineUnavailableError
from octomil.routing.prices import FREE, Price
from octomil.serve.spending import SpendCap

_LONGEST_ANSWER_TOKENS = 4096  # of a request that sets no limit
_CHARS_PER_TOKEN = 4
_FEWEST_CHARS_PER_TOKEN = 2  # cautious, for what is set aside


class Bill:
    """What one try at a request costs.

    Args:
        price: the model's; None where nobody knows.
        body: the request.
    """

    def __init__(self, price: Price | None, body: Mapping[str, Any]) -> None:
        self._price = price
        self._body = body
        self.usd: float | None = 0.0

    @property
    def has_price(self) -> bool:
        """Whether a price is known, be it none at all."""
        return self._price is not None

    def charge(self, usage: Usage, *, is_cut: bool = False) -> float | None:
        """Note the tokens that were used, and return their cost; None where no price is known.

        Args:
            usage: what the engine counted.
            is_cut: whether the answer was cut short, so that the engine never told how long the
                prompt was; then an estimate is put into `usage`, since it was read all the same.
        """
        if is_cut and not usage.prompt_tokens:
            usage.prompt_tokens = -(-_prompt_chars(self._body) // _CHARS_PER_TOKEN)
        if self._price is None:
            self.usd = None
            return None
        self.usd = self._price.cost_usd(usage.prompt_tokens, usage.completion_tokens)
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
        self._prices = dict(prices or {})
        self.cap = cap

    @contextmanager
    def open(self, name: str, body: Mapping[str, Any]) -> Iterator[Bill]:
        """Set aside what a try may cost; what it did cost in the end is what the bill says.

        Raises:
            SpendCapReachedError: it may cost more than is left today.
        """
        price = self._prices.get(name)
        bill = Bill(price, body)
        if self.cap is None or price is None or price is FREE:
            yield bill
            return
        reservation = self.cap.reserve(_most_usd(price, body))
        try:
            yield bill
        finally:
            self.cap.settle(reservation, bill.usd or 0.0)

    def can_afford(self, name: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a model could be asked now without exceeding the cap."""
        price = self._prices.get(name)
        if self.cap is None or price is None or price is FREE:
            return True
        try:
            return self.cap.has_room(_most_usd(price, body))
        except EngineUnavailableError:  # the ledger's fault is no free model's
            return False

    def close(self) -> None:
        """Close the ledger, if there is one."""
        if self.cap is not None:
            self.cap.close()


def _most_usd(price: Price, body: Mapping[str, Any]) -> float:
    """Return the most that a request can cost, as far as one can tell beforehand."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or _LONGEST_ANSWER_TOKENS
    prompt_tokens = -(-_prompt_chars(body) // _FEWEST_CHARS_PER_TOKEN)
    return price.cost_usd(prompt_tokens, limit * (body.get("n") or 1))


def _prompt_chars(body: Mapping[str, Any]) -> int:
    prompt = body.get("messages") or body.get("prompt") or body.get("input")
    return len(str(prompt))
