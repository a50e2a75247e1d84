"""What becomes of a model version, from its creation to its retirement.

```
draft ──► converting ──► ready ──► published ──► deprecated
  │            │           │
  └────────────┴───────────┴─────► failed
```

A draft has no files yet; a version is converting until every format that was asked for is there.
Publishing freezes it: from then on its files and its lineage never change.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class VersionState(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    CONVERTING = "converting"
    READY = "ready"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"
    FAILED = "failed"

    @property
    def is_frozen(self) -> bool:
        """Whether its files and lineage can change no more."""
        return self in _FROZEN


_FROZEN: Final = frozenset({VersionState.PUBLISHED, VersionState.DEPRECATED})

TRANSITIONS: Final[Mapping[VersionState, frozenset[VersionState]]] = {
    VersionState.DRAFT: frozenset(
        {VersionState.CONVERTING, VersionState.READY, VersionState.FAILED}
    ),
    VersionState.CONVERTING: frozenset({VersionState.READY, VersionState.FAILED}),
    VersionState.READY: frozenset({VersionState.PUBLISHED, VersionState.FAILED}),
    VersionState.PUBLISHED: frozenset({VersionState.DEPRECATED}),
    VersionState.DEPRECATED: frozenset(),
    VersionState.FAILED: frozenset(),
}
"""Which states may follow which."""


class TransitionError(ValueError):
    """A version cannot go from the one state to the other; the message says why."""


def follow(present: VersionState, wanted: VersionState) -> VersionState:
    """Return `wanted`, if it may follow `present`.

    Raises:
        TransitionError: it may not.

    Example:
        >>> follow(VersionState.READY, VersionState.PUBLISHED).value
        'published'
    """
    if wanted in TRANSITIONS[present]:
        return wanted
    raise TransitionError(_REASONS.get((present, wanted), f"it is {present.value}"))


def state_of_files(formats: Collection[str], wanted: Collection[str]) -> VersionState:
    """Return where a version stands whose files still change.

    Args:
        formats: those it has files in.
        wanted: those it was asked to have.

    Example:
        >>> state_of_files({"pytorch"}, {"pytorch", "onnx"}).value
        'converting'
    """
    if set(wanted) - set(formats):
        return VersionState.CONVERTING
    return VersionState.READY if formats else VersionState.DRAFT


_REASONS: Final = {
    (VersionState.DRAFT, VersionState.PUBLISHED): "it has no files yet; upload them first",
    (VersionState.CONVERTING, VersionState.PUBLISHED): (
        "it is still converting; wait until every format that was asked for is there"
    ),
    (VersionState.FAILED, VersionState.PUBLISHED): "it failed; upload another version",
    (VersionState.DEPRECATED, VersionState.PUBLISHED): "it is deprecated, which is for good",
}
