"""Two slots of each model: what runs, and what ran before and is kept to go back to.

What runs is found by looking (`Activator.running`). The rest is written here, before anything is
done by it, so that a device that dies between any two steps knows where it stood:

```
begin ─► activate ─► (healthy for the whole probation) ─► end_trial
                  └► (a problem) ─► reject ─► activate what ran before ─► told
activate what ran before, where that is assigned again ─► end_return
```
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from octomil.device.state import StateFolder
from octomil.models.partial import read_json, space_errors, sync_folder, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version of a model, by the digest of its manifest."""

    model_id: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a release cannot be run, in one word and in a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A candidate that was activated and taken back.

    Attributes:
        is_told: whether the control plane has heard of it.
    """

    candidate: Candidate
    failure: Failure
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Of one model.

    Attributes:
        previous: the digest of what ran before.
        trial: what is on probation.
        rejection: what failed in its probation last; it is not tried again before another version
            was assigned.
    """

    previous: str | None = None
    trial: Candidate | None = None
    rejection: Rejection | None = None


class SlotBook:
    """The slots of all models, on disk.

    A file that is damaged is an empty one: then there is nothing to go back to, and what was
    rejected is tried once more.

    Args:
        state: where it is.
    """

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        try:
            self._slots = msgspec.convert(read_json(state.slots), dict[str, Slots])
        except msgspec.ValidationError:
            self._slots = {}

    def of(self, model_id: str) -> Slots:
        """Return what is known of a model."""
        return self._slots.get(model_id, Slots())

    def all(self) -> Mapping[str, Slots]:
        """Return what is known of each model."""
        return dict(self._slots)

    def previous(self) -> set[str]:
        """Return the digests of what ran before."""
        return {each.previous for each in self._slots.values() if each.previous is not None}

    def rejected(self) -> set[str]:
        """Return the digests that failed in their probation."""
        kept = (each.rejection for each in self._slots.values())
        return {each.candidate.digest for each in kept if each is not None}

    def begin(self, candidate: Candidate, running: str | None) -> None:
        """Note that a candidate is about to run, in place of what runs now.

        What was rejected is never gone back to, even where it still runs.

        Args:
            candidate: what is about to run.
            running: the digest of what runs now, to go back to; None if nothing does that is worth
                it: then what ran before is kept.

        Raises:
            InsufficientSpaceError: the disk is full, as for all that follow.
        """
        before = self.of(candidate.model_id)
        rejected = None if before.rejection is None else before.rejection.candidate.digest
        stays = running in (None, candidate.digest, rejected)
        previous = before.previous if stays else running
        self._keep(candidate.model_id, Slots(previous=previous, trial=candidate))

    def end_trial(self, model_id: str) -> None:
        """Note that nothing is on probation: it got through, or never came to run."""
        self._keep(model_id, replace(self.of(model_id), trial=None))

    def end_return(self, model_id: str) -> None:
        """Note that what ran before runs again, as it was assigned: on no probation.

        What it took the place of was withdrawn, and is not gone back to.
        """
        self._keep(model_id, Slots())

    def reject(self, candidate: Candidate, failure: Failure) -> None:
        """Note that what is on probation failed, and why."""
        rejection = Rejection(candidate=candidate, failure=failure)
        slots = replace(self.of(candidate.model_id), trial=None, rejection=rejection)
        self._keep(candidate.model_id, slots)

    def told(self, model_id: str) -> None:
        """Note that the control plane has heard of what was rejected."""
        slots = self.of(model_id)
        if slots.rejection is not None:
            told = replace(slots.rejection, is_told=True)
            self._keep(model_id, replace(slots, rejection=told))

    def forgive(self, model_id: str) -> None:
        """Note that what was rejected may be tried again once it is assigned again."""
        self._keep(model_id, replace(self.of(model_id), rejection=None))

    def forget_previous(self, model_id: str) -> None:
        """Note that there is nothing to go back to."""
        self._keep(model_id, replace(self.of(model_id), previous=None))

    def _keep(self, model_id: str, slots: Slots) -> None:
        if slots == self.of(model_id):
            return
        after = {**self._slots, model_id: slots}
        kept: Any = msgspec.to_builtins(after)
        with space_errors(self._state.path):
            write_json(self._state.slots, kept)
            sync_folder(self._state.path)
        self._slots = after
