"""The way back of a device that is restarted with a release that does not come up.

While it runs, `device.probation` looks after that. At its start there is nothing yet to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from octomil.device.attestations import failure_of
from octomil.device.releases import Release, Releases
from octomil.device.slots import Candidate
from octomil.errors import EngineError, OctomilError


def last_of(releases: Releases, name: str) -> Release | None:
    """Return what ran last of the model of that name; None if nothing of it is here whole.

    A device that died on its way back from what it took back had better arrive: then this is what
    ran before that.
    """
    last = releases.running(name)
    if last is None:
        return None
    slots = releases.slots.of(last.model_id)
    was_taken_back = slots.rejection is not None and slots.rejection.candidate.digest == last.digest
    if slots.previous is None or not was_taken_back:
        return last
    return releases.here(last.model_id, slots.previous) or last


def before(releases: Releases, begun: Release, error: OctomilError) -> Release:
    """Return what ran before a release that is on probation, to begin with that in its place.

    Args:
        releases: what the device has.
        begun: what it began with.
        error: why that cannot be loaded; raised as it is where it was on no probation.

    Raises:
        EngineError: there is no way back; the message names both.
    """
    slots = releases.slots.of(begun.model_id)
    rejection = slots.rejection
    if rejection is not None and slots.previous == begun.digest:
        raise EngineError(
            f"{begun.version} cannot be loaded: {error}; and {rejection.candidate.version}, which "
            f"ran after it, was taken back: {rejection.failure.message}"
        ) from error
    if slots.trial is None or slots.trial.digest != begun.digest or slots.previous is None:
        raise error
    found = releases.here(begun.model_id, slots.previous)
    if found is None:
        raise EngineError(
            f"{begun.version} is on probation and cannot be loaded: {error}; and what ran before, "
            f"{slots.previous}, is not here whole"
        ) from error
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """What to begin with in place of a release that cannot be loaded.

    Attributes:
        release: here whole.
        fault: what is wrong with the other one, for people, before the error.
        verdict: the same, once this one runs in its place.
        origin: where this one is from, for people.
        note: writes down that it runs, once it does; raises InsufficientSpaceError.
    """

    release: Release
    fault: str
    verdict: str
    origin: str
    note: Callable[[], None]


def way_out(
    releases: Releases,
    begun: Release,
    error: OctomilError,
    assigned_instead: Callable[[Release], Release | None],
) -> WayOut:
    """Return what ran before a release on probation; where there is no such way, what is assigned.

    Args:
        releases: what the device has.
        begun: what it began with.
        error: why that cannot be loaded.
        assigned_instead: fetches what is assigned in its place; None if nothing else is.

    Raises:
        EngineError: what is assigned cannot be had, either; names both.
        OctomilError: nothing else is assigned; as `before`.
    """
    try:
        return WayOut(
            release=before(releases, begun, error),
            fault="is on probation and cannot be loaded",
            verdict="failed its probation, as it cannot be loaded",
            origin="which ran before it",
            note=partial(take_back, releases, begun, error),
        )
    except OctomilError as no_way:
        try:
            release = assigned_instead(begun)
        except OctomilError as second:
            raise EngineError(
                f"{begun.version} cannot be loaded: {no_way}; nor can what is assigned be had: "
                f"{second}"
            ) from error
        if release is None:
            raise
        return WayOut(
            release=release,
            fault="cannot be loaded",
            verdict="cannot be loaded",
            origin="which is assigned",
            note=partial(_take, releases, begun, release),
        )


def _take(releases: Releases, begun: Release, release: Release) -> None:
    """Note that a release runs in place of another: on probation, unless it ran before.

    The other one is no way back, as it cannot be loaded: what ran before that still is.
    """
    slots, previous = releases.slots, releases.slots.of(begun.model_id).previous
    if previous == release.digest:
        slots.end_return(begun.model_id)
        return
    if previous == begun.digest:  # a device that died on its way back to it
        slots.forget_previous(begun.model_id)
    candidate = Candidate(model_id=release.model_id, version=release.version, digest=release.digest)
    slots.begin(candidate, None)


def take_back(releases: Releases, begun: Release, error: OctomilError) -> None:
    """Note that a release failed its probation, for what ran before it has come up in its place.

    The agent does the rest: it goes back by the book, and tells the control plane.

    Raises:
        InsufficientSpaceError: the disk is full.
    """
    trial = releases.slots.of(begun.model_id).trial
    if trial is not None and trial.digest == begun.digest:
        releases.slots.reject(trial, failure_of(error))
