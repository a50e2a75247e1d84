"""The order in which a request's models are asked, as they fail or turn out to be unsure."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from octomil.routing.router import RoutingDecision


class Candidates:
    """Goes through the models of a decision until one of them has answered.

    A model that fails is followed by the nearest stronger one, and only when there is none by a
    weaker one. Doubt leads upwards alone: an unsure answer is worth a stronger model's, never a
    weaker one's; and should all the stronger ones fail, the unsure model is asked once more and
    then believed.

    Args:
        decision: the first model, and those to try after it: stronger ones first, nearest first.
        order: all models, smallest first.
        doubting: whether unsure answers are to be dropped at all.
        can_be_asked: tells whether a model is up and may be asked now; without such a stronger
            model, an unsure answer is the best there is.

    Example:
        >>> decision = RoutingDecision("small", 0.1, "fast", ("large",))
        >>> candidates = Candidates(decision, ["small", "large"], doubting=True)
        >>> name = next(candidates)
        >>> name, candidates.may_doubt
        ('small', True)
        >>> candidates.doubt()
        >>> next(candidates), candidates.may_doubt, candidates.doubted
        ('large', False, ['small'])
    """

    def __init__(
        self,
        decision: RoutingDecision,
        order: Sequence[str],
        *,
        doubting: bool,
        can_be_asked: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._left = deque((decision.model_name, *decision.fallback_chain))
        self._order = order
        self._doubting = doubting
        self._can_be_asked = can_be_asked
        self._current = ""
        self.doubted: list[str] = []
        """The models whose answers were dropped, in order."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the model to ask now."""
        if not self._left:
            raise StopIteration
        self._current = self._left.popleft()
        return self._current

    @property
    def is_last(self) -> bool:
        """Whether no model is left after the current one."""
        return not self._left

    @property
    def may_doubt(self) -> bool:
        """Whether the current model's answer may be dropped for a stronger model's."""
        if not self._doubting or self._current in self.doubted:
            return False
        return any(map(self._can_be_asked, self._stronger()))

    def doubt(self) -> None:
        """Note that the current model was unsure."""
        self.doubted.append(self._current)
        self._left.insert(len(self._stronger()), self._current)

    def _stronger(self) -> list[str]:
        """List the models left that are stronger than the current one; they come first."""
        ranks = {name: rank for rank, name in enumerate(self._order)}
        rank = ranks.get(self._current, -1)
        return [name for name in self._left if ranks.get(name, -1) > rank]
