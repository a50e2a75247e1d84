"""Joining answers into one text while they are being written."""


class Merger:
    r"""Joins answers as `octomil.routing.decompose.merge` does, piece by piece.

    Spaces at the end of what came so far are kept back: they may turn out to be the answer's end.

    Example:
        >>> merger = Merger()
        >>> said = [merger.add("51"), merger.add("\n")]
        >>> merger.begin_answer()
        >>> [*said, merger.add(" Rome"), merger.add(" is old.")]
        ['51', '', '\n\nRome', ' is old.']
    """

    def __init__(self) -> None:
        self._separator = ""
        self._held = ""
        self._began = False

    def begin_answer(self) -> None:
        """End the current answer; what is added from now on belongs to the next one."""
        self._held, self._began = "", False

    def add(self, piece: str) -> str:
        """Take a piece of the current answer, and return what can be said now."""
        text = self._held + piece
        said = text.rstrip()
        self._held = text[len(said) :]
        if not said or self._began:
            return said
        self._began = True
        separator, self._separator = self._separator, "\n\n"
        return separator + said.lstrip()
