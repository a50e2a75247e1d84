"""Which engines tell log-probabilities, as far as their answers have shown."""


class LogprobSupport:
    """Remembers, by model, whether asking its engine for log-probabilities leads anywhere.

    What a server supports is not known beforehand: some refuse the wish, others ignore it.

    Example:
        >>> support = LogprobSupport()
        >>> support.learn("small", tells=False)
        >>> support.may_tell("small"), support.may_tell("large")
        (False, True)
    """

    def __init__(self) -> None:
        self._tells: dict[str, bool] = {}

    def may_tell(self, name: str) -> bool:
        """Tell whether it makes sense to ask."""
        return self._tells.get(name, True)

    def learn(self, name: str, *, tells: bool) -> None:
        """Take in what an answer has shown.

        One with log-probabilities is proof; one without may be so for a reason of its own, and
        says nothing about an engine that has told them before.
        """
        if tells:
            self._tells[name] = True
        else:
            self._tells.setdefault(name, False)

    def forget(self, name: str) -> None:
        """Know nothing about an engine that has been loaded anew."""
        self._tells.pop(name, None)
