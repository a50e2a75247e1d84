"""The agent's loop: ask what to run, run it, attest what runs."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import msgspec

from octomil.device.activation import Activator
from octomil.device.profile import own_profile
from octomil.device.releases import Releases
from octomil.device.session import Session
from octomil.errors import (
    DigestMismatchError,
    EngineError,
    InsufficientSpaceError,
    InvalidModelFileError,
    ModelError,
    ModelUnavailableError,
    OctomilError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from octomil.http.api import path_to
from octomil.wire.devices import Assignment, AssignmentsAnswer

_LONGEST_S = 3600.0
_LONGEST_OUTSIDE_S = 60.0  # where the cause lies outside of the release, and may be gone soon


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the agent does things.

    Attributes:
        poll_s: seconds between two questions what to run; each differs by up to a fifth, so that
            a fleet that was switched on together does not ask together.
        heartbeat_s: seconds between two signs of life.
    """

    poll_s: float = 10.0
    heartbeat_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Failures:
    """How often in a row a release could not be run, and when to try again."""

    number: int
    retry_at_s: float


@dataclass(frozen=True, slots=True)
class _Confirmation:
    """A release that the control plane wants to hear of again, once it was healthy for so long."""

    wanted: Assignment
    due_at_s: float


class Agent:
    """One device.

    Args:
        session: who it is.
        releases: what it has.
        activator: what runs models here.
        say: tells a person what happens, a line at a time.
        pace: how often it asks.
        clock: tells monotonic seconds.
        rng: the source of jitter.
    """

    def __init__(
        self,
        session: Session,
        releases: Releases,
        activator: Activator,
        *,
        say: Callable[[str], None],
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._session = session
        self._releases = releases
        self._activator = activator
        self._say = say
        self._pace = pace or Pace()
        self._clock = clock
        self._rng = rng or random.Random()
        self._is_registered = False
        self._beaten_s = clock()
        self._known_version: int | None = None
        self._failures: dict[str, _Failures] = {}
        self._confirmations: dict[str, _Confirmation] = {}

    def run(self, stop: Event) -> None:
        """Do what the control plane says until `stop` is set, whatever goes wrong meanwhile.

        Raises:
            UnauthorizedError: the control plane never knew this device, and does not now.
        """
        while not stop.is_set():
            try:
                self.turn()
            except UnauthorizedError as error:
                if not self._is_registered:
                    raise
                self._say(f"the control plane does not take this device's token: {error}")
            except (OctomilError, OSError) as error:
                self._say(str(error))
            stop.wait(self._pace.poll_s * (0.8 + 0.4 * self._rng.random()))

    def turn(self) -> bool:
        """Tell that the device is there, and run what is wanted; return whether it does.

        An access token that is not taken is renewed once: this machine's clock may be wrong.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
            OSError: the device's folder cannot be read or written.
        """
        try:
            return self._turn()
        except UnauthorizedError:
            self._session.forget_access()
            return self._turn()

    def _turn(self) -> bool:
        if not self._is_registered:
            body = {"device_identifier": self._session.identifier, **own_profile()}
            self._session.api.post("/devices/register", body)
            self._is_registered = True
            self._say(f"{self._session.identifier} is the device {self._session.device_id}")
        elif self._clock() - self._beaten_s >= self._pace.heartbeat_s:
            self._session.api.post(self._path("heartbeat"), {})
            self._beaten_s = self._clock()
        return self.converge()

    def converge(self) -> bool:
        """Bring what runs here to what is wanted; return whether it got there.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
        """
        answer = self._asked()
        self._confirm({each.model_id: each.digest for each in answer.assignments})
        if not answer.updated:
            return True
        settled = [self._follow(each) for each in answer.assignments]
        wanted = {each.digest for each in answer.assignments}
        self._releases.keep_only(wanted | self._activator.in_use())
        if all(settled):
            self._known_version = answer.config_version
        return all(settled)

    def _asked(self) -> AssignmentsAnswer:
        answer = self._session.api.get(
            self._path("assignments"), config_version=self._known_version
        )
        try:
            return msgspec.convert(answer, AssignmentsAnswer)
        except msgspec.ValidationError as error:
            raise UnexpectedAnswerError(f"these are no assignments: {error}") from error

    def _follow(self, wanted: Assignment) -> bool:
        """Run one assignment and attest it; return whether that worked out."""
        what = f"{wanted.model_id} {wanted.version}"
        failures = self._failures.get(wanted.digest)
        if failures is not None and self._clock() < failures.retry_at_s:
            return False
        try:
            self._activate(wanted, what)
        except UnauthorizedError:  # says nothing about the release
            raise
        except (OctomilError, OSError) as error:
            self._say(f"{what}: {error}")
            is_its_fault = _is_fault_of_release(error)
            if is_its_fault:
                self._attest(wanted, "failed", error)
            self._failures[wanted.digest] = self._one_more(failures, is_its_fault=is_its_fault)
            return False
        self._failures.pop(wanted.digest, None)
        self._attest(wanted, "active")
        self._say(f"{what}: runs, {wanted.digest}")
        return True

    def _activate(self, wanted: Assignment, what: str) -> None:
        """Return when an assignment runs.

        Raises:
            OctomilError: it does not.
        """
        self._releases.accept(wanted, self._session.device_id)
        if self._activator.running(wanted.model_id) == wanted.digest:
            return
        self._say(f"{what}: fetching")
        release = self._releases.obtain(
            wanted.model_id, wanted.version, wanted.digest, name=wanted.name
        )
        self._activator.activate(release)
        found = self._activator.running(wanted.model_id)
        if found != wanted.digest:
            raise DigestMismatchError(f"{wanted.digest} was activated, and {found} runs")

    def _one_more(self, before: "_Failures | None", *, is_its_fault: bool) -> "_Failures":
        number = 1 if before is None else before.number + 1
        longest_s = _LONGEST_S if is_its_fault else _LONGEST_OUTSIDE_S
        wait_s = min(longest_s, self._pace.poll_s * 2 ** min(number, 16))
        return _Failures(number, self._clock() + wait_s)

    def _confirm(self, told: Mapping[str, str]) -> None:
        """Look again at what was activated a while ago, and attest what is there now.

        Args:
            told: what is to run now, by model; what is to run no more is not looked at.
        """
        for model_id, due in list(self._confirmations.items()):
            if told.get(model_id, due.wanted.digest) != due.wanted.digest:
                del self._confirmations[model_id]
            elif self._clock() >= due.due_at_s:
                found = self._activator.running(model_id)
                if found == due.wanted.digest:
                    self._attest(due.wanted, "active")
                else:
                    what = f"{due.wanted.digest} was activated, and {found} runs"
                    self._attest(due.wanted, "failed", DigestMismatchError(what))

    def _attest(self, wanted: Assignment, status: str, error: Exception | None = None) -> None:
        body: dict[str, Any] = {
            "model_id": wanted.model_id,
            "version": wanted.version,
            "digest": wanted.digest,
            "status": status,
        }
        if error is not None:
            body["message"] = " ".join(str(error).split())[:2000]
            body["code"] = _code_of(error)
        answer = self._session.api.post(self._path("attestations"), body)
        self._confirmations.pop(wanted.model_id, None)
        again_s = _confirmed_after_s(answer)
        if again_s is not None:
            due_at_s = self._clock() + again_s
            self._confirmations[wanted.model_id] = _Confirmation(wanted, due_at_s)

    def _path(self, *more: str) -> str:
        return path_to("devices", self._session.device_id, *more)


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (InsufficientSpaceError, "disk_full"),
    (DigestMismatchError, "wrong_digest"),
    (InvalidModelFileError, "invalid_file"),
    (EngineError, "does_not_run"),
)


def _code_of(error: Exception) -> str:
    """Return in one word why a release cannot be run."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), "cannot_run")


def _confirmed_after_s(answer: Any) -> float | None:
    """Return the seconds after which to attest again; None if nobody waits for that.

    Raises:
        UnexpectedAnswerError: what answers an attestation is none.
    """
    wanted = answer.get("confirmed_after_s") if isinstance(answer, dict) else ""
    if wanted is not None and not isinstance(wanted, int | float):
        raise UnexpectedAnswerError(f"this answers no attestation: {answer!r:.200}")
    return wanted


def _is_fault_of_release(error: Exception) -> bool:
    """Tell whether an error says something about a release, and not about the way to it.

    A full disk does: the release is too large for the device.
    """
    is_outside = isinstance(error, ModelUnavailableError)
    return isinstance(error, (ModelError, EngineError)) and not is_outside
