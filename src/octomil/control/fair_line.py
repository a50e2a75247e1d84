"""Whose work begins next, where each piece may take minutes: nobody keeps all others waiting.

A rule alone, without threads and clocks; `control.workers` goes by it.
"""

from collections import Counter, deque
from typing import Generic, TypeVar

WorkT = TypeVar("WorkT")


class FairLine(Generic[WorkT]):
    """Work of several owners that waits for one of a few slots.

    The next slot goes to the owner with the fewest slots, and of several to the one who had none
    for longest. The last slot is never given to who has all the others: whoever comes then begins
    at once, instead of waiting until something ends.

    Args:
        slots: how much may be under way at once.
        most_waiting: of each owner; more is not taken.

    Example:
        >>> line = FairLine[str](slots=3, most_waiting=10)
        >>> for work in ("a1", "a2", "a3"):
        ...     line.add("a", work)
        True
        True
        True
        >>> [line.begin(), line.begin(), line.begin()]
        [('a', 'a1'), ('a', 'a2'), None]
        >>> line.add("b", "b1")
        True
        >>> line.begin()
        ('b', 'b1')
    """

    def __init__(self, slots: int, most_waiting: int) -> None:
        self._slots = slots
        self._most_each = max(1, slots - 1)
        self._most_waiting = most_waiting
        self._waiting: dict[str, deque[WorkT]] = {}
        self._under_way: Counter[str] = Counter()

    def add(self, owner: str, work: WorkT) -> bool:
        """Let work wait for its turn; return False if so much of its owner's waits already."""
        mine = self._waiting.setdefault(owner, deque())
        if len(mine) >= self._most_waiting:
            return False
        mine.append(work)
        return True

    def begin(self) -> tuple[str, WorkT] | None:
        """Return what begins now, with its owner, who has a slot from now on; None for nothing."""
        if self._under_way.total() >= self._slots:
            return None
        entitled = [each for each in self._waiting if self._under_way[each] < self._most_each]
        if not entitled:
            return None
        owner = min(entitled, key=self._under_way.__getitem__)
        mine = self._waiting.pop(owner)
        work = mine.popleft()
        if mine:
            self._waiting[owner] = mine  # behind all others
        self._under_way[owner] += 1
        return owner, work

    def end(self, owner: str) -> None:
        """Take back a slot of an owner's whose work has ended."""
        self._under_way[owner] -= 1
        if not self._under_way[owner]:
            del self._under_way[owner]

    def drop(self, owner: str, work: WorkT) -> None:
        """Forget work that nobody wants any more, if it still waits."""
        mine = self._waiting.get(owner, deque())
        if work in mine:
            mine.remove(work)
            if not mine:
                del self._waiting[owner]

    def clear(self) -> list[WorkT]:
        """Forget all that waits, and return it."""
        waiting, self._waiting = self._waiting, {}
        return [work for mine in waiting.values() for work in mine]
