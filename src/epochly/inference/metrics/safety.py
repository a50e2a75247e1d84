"""How the safety gates stand, read off whatever has a state, scores or a size."""

from collections.abc import Iterable, Mapping, Sized
from typing import Any, Protocol, TypeAlias

from epochly.errors import ConfigurationError
from epochly.inference.metrics.families import PREFIX
from epochly.inference.metrics.instruments import LabelValues, Metric, Reading

BREAKER_STATES = {"closed": 0, "disabled": 0, "half_open": 1, "open": 2, "forced_open": 2}
"""What `safety.breaker.state` shows: whether calls pass, are probed, or are refused."""


class HasState(Protocol):
    """A circuit breaker, ours or one with the same states."""

    @property
    def state(self) -> str:
        """One of `BREAKER_STATES`."""


class NamedBreaker(HasState, Protocol):
    """A circuit breaker that knows what it protects."""

    name: str


class HasScores(Protocol):
    """A drift monitor."""

    def get_diagnostics(self) -> dict[str, Any]:
        """By optimisation."""

    def get_ewma_scores(self, optimization_name: str, /) -> dict[str, float] | None:
        """By score; None where nothing is known."""


Breakers: TypeAlias = Mapping[str, HasState] | Iterable[NamedBreaker]


def gates(
    breakers: Breakers | None, drift_monitor: HasScores | None, golden_store: Sized | None
) -> list[Metric]:
    """Return a metric for each of the gates that is given.

    Raises:
        ConfigurationError: one of them cannot tell how it stands.
    """
    found: list[Metric] = []
    if breakers is not None:
        found.append(_breaker_states(_by_name(breakers)))
    if drift_monitor is not None:
        _require(drift_monitor, "drift_monitor", "get_diagnostics", "get_ewma_scores")
        found.append(_drift_scores(drift_monitor))
    if golden_store is not None:
        _require(golden_store, "golden_store", "__len__")
        found.append(_goldens(golden_store))
    return found


def _require(value: object, name: str, *methods: str) -> None:
    if missing := [method for method in methods if not hasattr(value, method)]:
        raise ConfigurationError(f"{name} needs {' and '.join(missing)}(), got {value!r}")


def _by_name(breakers: Breakers) -> dict[str, HasState]:
    if isinstance(breakers, Mapping):
        named = dict(breakers)
    elif isinstance(breakers, Iterable):
        named = _named(breakers)
    else:
        raise ConfigurationError(
            f"breakers must be a mapping or a list of breakers, got {breakers!r}"
        )
    for name, breaker in named.items():
        _check_state(name, breaker)
    return named


def _named(breakers: Iterable[NamedBreaker]) -> dict[str, HasState]:
    named: dict[str, HasState] = {}
    for breaker in breakers:
        if not hasattr(breaker, "name") or not hasattr(breaker, "state"):
            raise ConfigurationError(
                f"this is no breaker with a name and a state: {breaker!r}; give a mapping from "
                "what each protects to the breaker"
            )
        if breaker.name in named:
            raise ConfigurationError(
                f"two breakers are called {breaker.name!r}; give a mapping that tells them apart"
            )
        named[breaker.name] = breaker
    return named


def _check_state(name: str, breaker: HasState) -> None:
    if not hasattr(breaker, "state"):
        raise ConfigurationError(f"{name!r} is no breaker with a state: {breaker!r}")
    if str(breaker.state) not in BREAKER_STATES:
        known = ", ".join(BREAKER_STATES)
        raise ConfigurationError(f"{name!r} is in the state {breaker.state!r}; known are {known}")


def _breaker_states(breakers: Mapping[str, HasState]) -> Reading:
    def read() -> list[tuple[LabelValues, float]]:
        return [((name,), BREAKER_STATES[str(one.state)]) for name, one in breakers.items()]

    return Reading(
        f"{PREFIX}safety_breaker_state",
        "0 if calls pass, 1 if they are probed, 2 if they are refused",
        ("breaker",),
        read,
    )


def _drift_scores(monitor: HasScores) -> Reading:
    def read() -> list[tuple[LabelValues, float]]:
        return [
            ((optimization, score), value)
            for optimization in monitor.get_diagnostics()
            for score, value in (monitor.get_ewma_scores(optimization) or {}).items()
        ]

    return Reading(
        f"{PREFIX}safety_drift_ewma",
        "Moving average of each drift score",
        ("optimization", "score"),
        read,
    )


def _goldens(store: Sized) -> Reading:
    def read() -> list[tuple[LabelValues, float]]:
        return [((), len(store))]

    return Reading(f"{PREFIX}safety_goldens", "Golden outputs kept", (), read)
