"""How many answers each organisation may have in the making: the backends are everybody's."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from octomil.errors import RateLimitedError, ServiceUnavailableError

MOST_OF_ONE: Final = 64
MOST: Final = 1024
"""Of all organisations together."""

_RETRY_AFTER_S = 1


class GenerationSlots:
    """Slots for answers in the making; used from one event loop.

    Args:
        most_of_one: slots that an organisation may have, whatever others have.
        most: slots of all together.

    Example:
        >>> slots = GenerationSlots(most_of_one=2, most=8)
        >>> with slots.taken("acme"), slots.taken("acme", most=4) as second:
        ...     second, len(slots)
        (1, 2)
    """

    def __init__(self, most_of_one: int = MOST_OF_ONE, most: int = MOST) -> None:
        self._most_of_one = most_of_one
        self._most = max(most, most_of_one)
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._under_way.total()

    @contextmanager
    def taken(self, organisation: str, most: int = 1) -> Iterator[int]:
        """Hold slots until the block ends, as many as are free; it never waits for them.

        Args:
            organisation: whose answers they are for.
            most: so many are wanted.

        Yields:
            how many there were, at least one.

        Raises:
            RateLimitedError: the organisation has too many.
            ServiceUnavailableError: all together have.
        """
        of_one = self._most_of_one - self._under_way[organisation]
        of_all = self._most - len(self)
        if of_one < 1:
            raise RateLimitedError(
                f"the organisation has {self._under_way[organisation]} answers in the making, of "
                f"{self._most_of_one} that it may have; come back when some have ended",
                {"retry_after_s": _RETRY_AFTER_S, "most": self._most_of_one},
            )
        if of_all < 1:
            raise ServiceUnavailableError(
                "too many answers are in the making; try again in a second",
                {"retry_after_s": _RETRY_AFTER_S},
            )
        number = min(most, of_one, of_all)
        self._under_way[organisation] += number
        try:
            yield number
        finally:
            self._under_way[organisation] -= number
            if not self._under_way[organisation]:
                del self._under_way[organisation]
