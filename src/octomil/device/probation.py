"""The first while of a release: it is tried, watched, and taken back by the device itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from octomil.device.activation import Activator
from octomil.device.attestations import failure_of
from octomil.device.releases import Release, Releases
from octomil.device.slots import Candidate, SlotBook
from octomil.errors import EngineError, EngineUnavailableError
from octomil.wire.devices import Assignment
from octomil.wire.rollouts import Stage


class Trial(Protocol):
    """Tries a release before it runs, and again while it is on probation."""

    def __call__(self, release: Release) -> list[str]:
        """Return what of it could not be tried, for people.

        Raises:
            EngineError: it failed.
        """


@dataclass(frozen=True, slots=True)
class _Watched:
    candidate: Candidate
    until_s: float
    try_at_s: float


class Probation:
    """Watches what was activated lately, and goes back to what ran before where it fails.

    It asks no control plane: a device that is offline goes back as well.

    Args:
        releases: what the device has.
        activator: what runs models here.
        book: where things stand, through a loss of power.
        trial: tries releases; None where the activator does.
        lasts_s: seconds that a release is on probation.
        retry_s: seconds between two trials of it.
        clock: tells monotonic seconds.
        say: tells a person what happens, a line at a time.
    """

    def __init__(
        self,
        releases: Releases,
        activator: Activator,
        book: SlotBook,
        trial: Trial | None,
        *,
        lasts_s: float,
        retry_s: float,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._releases = releases
        self._activator = activator
        self._book = book
        self._trial = trial
        self._lasts_s, self._retry_s = lasts_s, retry_s
        self._clock = clock
        self._say = say
        self._watched: dict[str, _Watched] = {}

    def refuses(self, wanted: Assignment) -> bool:
        """Tell whether a release was tried and taken back, and nothing else was assigned since.

        Its number does not count: that grows with whatever changes in the fleet's plan.
        """
        rejection = self._book.of(wanted.model_id).rejection
        return rejection is not None and rejection.candidate.digest == wanted.digest

    def activate(self, wanted: Assignment, release: Release, at: Callable[[Stage], object]) -> None:
        """Try a release, put it on probation, and run it; on none if it is what ran before.

        Args:
            wanted: the assignment.
            release: what it means, here whole.
            at: called with each stage that it comes to.

        Raises:
            EngineError: it failed its smoke test; what ran before still does.
            OctomilError: it cannot be activated, likewise.
            OSError: the disk fails, likewise.
        """
        if self._trial is not None:
            at("verifying")
            for note in self._trial(release):
                self._say(f"{wanted.model_id} {wanted.version}: {note}")
        at("staged")
        if self._book.of(wanted.model_id).previous == wanted.digest:
            at("activating")
            self._activator.activate(release)
            self._book.end_return(wanted.model_id)
            return
        candidate = Candidate(
            model_id=wanted.model_id, version=wanted.version, digest=wanted.digest
        )
        self._book.begin(candidate, self._activator.running(wanted.model_id))
        at("activating")
        self._activator.activate(release)
        self._watch(candidate)

    def extend(self, model_id: str, window_s: float) -> None:
        """Let a probation last at least as long as the health window that the rollout names."""
        watched = self._watched.get(model_id)
        if watched is not None:
            until_s = max(watched.until_s, self._clock() + window_s)
            self._watched[model_id] = _Watched(watched.candidate, until_s, watched.try_at_s)

    def look(self, model_id: str) -> None:
        """Look at what runs of a model, and do what that takes.

        Raises:
            OctomilError: it cannot be looked at, or there is no way back now; look again later.
            OSError: likewise.
        """
        slots = self._book.of(model_id)
        if slots.rejection is not None:
            self._go_back(model_id)
        elif slots.trial is not None:
            self._look_at(slots.trial)

    def _look_at(self, candidate: Candidate) -> None:
        model_id = candidate.model_id
        watched = self._watched.get(model_id)
        if watched is None or watched.candidate != candidate:
            if self._activator.running(model_id) != candidate.digest:  # died before it ran
                self._book.end_trial(model_id)
                return
            watched = self._watch(candidate)
        error = self._problem(watched)
        if error is not None:
            self._say(f"{model_id} {candidate.version}: failed its probation: {error}")
            self._book.reject(candidate, failure_of(error))
            self._go_back(model_id)
        elif self._clock() >= watched.until_s:
            self._book.end_trial(model_id)
            self._say(f"{model_id} {candidate.version}: got through its probation")

    def _watch(self, candidate: Candidate) -> _Watched:
        """Begin to watch a release that runs; after a restart, its time begins anew."""
        now_s = self._clock()
        watched = _Watched(candidate, now_s + self._lasts_s, now_s + self._retry_s)
        self._watched[candidate.model_id] = watched
        return watched

    def _problem(self, watched: _Watched) -> EngineError | None:
        """Return what is wrong with a release that runs; None as well if that cannot be told."""
        candidate = watched.candidate
        what = self._activator.problem(candidate.model_id)
        if what is not None:
            return EngineError(what)
        if self._trial is None or self._clock() < watched.try_at_s:
            return None
        until_s, try_at_s = watched.until_s, self._clock() + self._retry_s
        self._watched[candidate.model_id] = _Watched(candidate, until_s, try_at_s)
        if self._activator.running(candidate.model_id) != candidate.digest:
            return None  # damaged: that is mended, and no fault of its own
        release = self._releases.here(candidate.model_id, candidate.digest)
        try:
            if release is not None:
                self._trial(release)
        except EngineUnavailableError:
            raise
        except EngineError as error:
            return error
        return None

    def _go_back(self, model_id: str) -> None:
        """Run what ran before, in place of what was rejected."""
        previous = self._book.of(model_id).previous
        if previous is None:  # it runs already, or there is none
            return
        if self._activator.running(model_id) != previous:
            release = self._releases.here(model_id, previous)
            if release is None:
                self._say(f"{model_id}: {previous} is not here whole: there is no way back to it")
            else:
                self._activator.activate(release)
                self._say(f"{model_id} {release.version}: runs again, {release.digest}")
        self._book.forget_previous(model_id)
