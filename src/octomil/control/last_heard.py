"""Which labels of which organisations are shown: those that were heard of last."""

from collections import OrderedDict

Labels = tuple[str, ...]


class LastHeard:
    """Labels in the order in which they were heard of; few enough to be looked through.

    An organisation that is full makes room among its own, so that it takes none from others by
    names that it makes up. Not safe to use from several threads at once.

    Args:
        most_of_one: labels that one organisation may have.
        most: that all have together.
    """

    def __init__(self, most_of_one: int, most: int) -> None:
        self._most_of_one = most_of_one
        self._most = most
        self._order: OrderedDict[tuple[str, Labels], None] = OrderedDict()

    def hear(self, organisation: str, labels: Labels) -> Labels | None:
        """Note that labels were heard of; return those that nobody has any more for it."""
        place = organisation, labels
        is_new = place not in self._order
        self._order[place] = None
        self._order.move_to_end(place)
        if not is_new:
            return None
        own = [each for each in self._order if each[0] == organisation]
        if len(own) > self._most_of_one:
            return self._drop(own[0])
        if len(self._order) > self._most:
            return self._drop(next(iter(self._order)))
        return None

    def _drop(self, place: tuple[str, Labels]) -> Labels | None:
        del self._order[place]
        labels = place[1]
        return None if any(each[1] == labels for each in self._order) else labels
