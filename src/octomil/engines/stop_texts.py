"""Ending a text where one of some texts begins, however the pieces of it are cut. Pure."""

from collections.abc import Sequence


class StopTexts:
    """Passes a text on, piece by piece, up to the first stop text.

    Args:
        stops: none of them empty.

    Example:
        >>> cut = StopTexts(["END"])
        >>> [cut.feed(piece) for piece in ("one E", "N", "D two")], cut.is_over
        (['one ', '', ''], True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.is_over = False

    def feed(self, piece: str) -> str:
        """Return what can be passed on; what may be the beginning of a stop text is held back."""
        if self.is_over:
            return ""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.is_over, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> str:
        """Return what was held back, once the text has ended."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are the beginning of another."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
