"""The agent's loop: ask what to run, run it, attest what runs."""

import random
import time
from collections.abc import Callable, Container, Sequence

from octomil.device.activation import Activator
from octomil.device.assignments import is_same
from octomil.device.attestations import Attestations, failure_of, is_fault_of_release
from octomil.device.failures import Failures
from octomil.device.installation import Installation
from octomil.device.pace import Pace
from octomil.device.probation import Probation, Trial
from octomil.device.profile import own_profile
from octomil.device.questions import Questions, Wait
from octomil.device.releases import Releases
from octomil.device.session import Session
from octomil.device.stage_reports import StageReports
from octomil.device.stopping import Stop, StoppedError
from octomil.errors import (
    DigestMismatchError,
    OctomilError,
    UnauthorizedError,
)
from octomil.http.api import path_to
from octomil.wire.devices import Assignment
from octomil.wire.rollouts import Stage
from octomil.wire.texts import plain_text

_LONGEST_S = 3600.0
_LONGEST_OUTSIDE_S = 60.0  # where the cause lies outside of the release, and may be gone soon


class Agent:
    """One device.

    Args:
        session: who it is.
        releases: what it has.
        activator: what runs models here.
        say: tells a person what happens, a line at a time.
        pace: how often it asks.
        only: the models that it follows; None for all that are assigned.
        trial: tries releases before they run; None where the activator does.
        clock: tells monotonic seconds.
    """

    def __init__(
        self,
        session: Session,
        releases: Releases,
        activator: Activator,
        *,
        say: Callable[[str], None],
        pace: Pace | None = None,
        only: Container[str] | None = None,
        trial: Trial | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._releases = releases
        self._activator = activator
        self._tell = say
        self._pace = pace or Pace()
        self._only = only
        self._stages: StageReports | None = None
        self._clock = clock
        self._rng = random.Random()
        self._registered_as: str | None = None
        self._beaten_s = clock()
        self._known_version: int | None = None
        self._settled: dict[str, Assignment] = {}
        self._failures = Failures(self._pace.poll_s, clock)
        self._questions = Questions(session, clock)
        self._attestations = Attestations(session, clock)
        self._check_at_s = clock() + self._jittered(self._pace.check_s)
        self._book = releases.slots
        self._refused: set[str] = set()
        self._told: dict[str, str] = {}
        self._probation = Probation(
            releases,
            activator,
            self._book,
            trial,
            lasts_s=self._pace.probation_s,
            retry_s=self._pace.retry_s,
            clock=clock,
            say=self._say,
        )
        self._installation = Installation(
            releases,
            activator,
            self._probation,
            news=lambda: self._questions.news(self._known_version),
            say=self._say,
            tell=self._tell_stage,
        )

    def tell_stages(self, stages: StageReports) -> None:
        """Have the control plane told how far releases are, too, before they run."""
        self._stages = stages

    def run(self, stop: Stop) -> None:
        """Do what the control plane says until `stop` is set, whatever goes wrong meanwhile.

        It never asks more often than its pace is, however early it is answered.

        Raises:
            UnauthorizedError: the control plane never knew this device, and does not now.
        """
        while not stop.is_set():
            began_s, rest_s = self._clock(), self._jittered(self._pace.poll_s)
            try:
                self.turn(Wait(seconds=rest_s, stop=stop))
                rest_s -= self._clock() - began_s
            except StoppedError:
                return
            except UnauthorizedError as error:
                if self._registered_as is None:
                    raise
                self._say(f"the control plane does not take this device's token: {error}")
            except (OctomilError, OSError) as error:
                self._say(str(error))
            stop.wait(max(0.0, rest_s))

    def turn(self, wait: Wait | None = None) -> bool:
        """Tell that the device is there, and run what is wanted; return whether it does.

        An access token that is not taken is renewed once: this machine's clock may be wrong.

        Args:
            wait: how long the control plane may wait for news; None for an answer at once.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
            OSError: the device's folder cannot be read or written.
            StoppedError: the device was told to stop while it waited.
        """
        self._look()
        try:
            return self._turn(wait)
        except UnauthorizedError:
            self._session.forget_access()
            return self._turn(wait)

    def _look(self) -> None:
        """See how what is on probation does, whether or not there is a control plane."""
        for model_id in self._book.all():
            if self._is_followed(model_id) and self._failures.is_due(model_id):
                try:
                    self._probation.look(model_id)
                except (OctomilError, OSError) as error:
                    self._say(f"{model_id}: {error}")
                    self._failures.note(model_id, _LONGEST_OUTSIDE_S)
                else:
                    self._failures.forget(model_id)

    def _turn(self, wait: Wait | None) -> bool:
        if self._registered_as != self._session.device_id:
            self._register()
        elif self._clock() - self._beaten_s >= self._pace.heartbeat_s:
            self._session.api.post(self._path("heartbeat"), {})
            self._beaten_s = self._clock()
        return self._converge(wait)

    def _register(self) -> None:
        """Tell who this is; with another id than before, nothing is known there of what runs."""
        body = {"device_identifier": self._session.identifier, **own_profile()}
        self._session.api.post("/devices/register", body)
        self._registered_as = self._session.device_id
        self._known_version = None
        self._settled.clear()
        self._say(f"{self._session.identifier} is the device {self._registered_as}")

    def _converge(self, wait: Wait | None) -> bool:
        """Bring what runs here to what is wanted; return whether it got there. Raises as `turn`."""
        if self._clock() >= self._check_at_s:
            self._known_version = None
            self._settled.clear()
            self._check_at_s = self._clock() + self._jittered(self._pace.check_s)
        self._tell_rejections()
        answer = self._questions.ask(self._known_version, wait)
        if self._stages is not None:  # somebody answers: what was kept can be told now
            self._stages.send()
        followed = [each for each in answer.assignments if self._is_followed(each.model_id)]
        is_there = not answer.updated or self._follow_all(followed)
        for each in self._attestations.due():
            self._confirm(each)
        return is_there

    def _follow_all(self, wanted: Sequence[Assignment]) -> bool:
        told_of = {each.model_id for each in wanted}
        self._settled = {key: one for key, one in self._settled.items() if key in told_of}
        settled = [self._follow(each) for each in wanted]
        self._releases.keep_only(self._activator.in_use())
        if settled and all(settled):  # the number of the whole answer is not signed; these are
            self._known_version = min(each.sequence for each in wanted)
        return all(settled)

    def _is_followed(self, model_id: str) -> bool:
        return self._only is None or model_id in self._only

    def _follow(self, wanted: Assignment) -> bool:
        """Run one assignment and attest it, unless that was done; return whether it worked out."""
        if self._is_refused(wanted):
            return False
        settled = self._settled.get(wanted.model_id)
        if settled == wanted:
            return True
        if not (self._failures.is_due(wanted) and self._failures.is_due(wanted.digest)):
            return False
        what = f"{wanted.model_id} {wanted.version}"
        at_fault: Assignment | str = wanted  # what nobody signed says nothing about its digest
        self._settled.pop(wanted.model_id, None)
        try:
            self._releases.accept(wanted, self._session.device_id)
            if settled is not None and is_same(settled, wanted):  # the plan changed elsewhere
                self._settled[wanted.model_id] = wanted
                return True
            self._attestations.supersede(wanted)
            self._book.forgive(wanted.model_id)
            at_fault = wanted.digest
            self._installation.run(wanted)
        except UnauthorizedError:  # says nothing about the release
            raise
        except (OctomilError, OSError) as error:
            self._say(f"{what}: {error}")
            is_its_fault = is_fault_of_release(error)
            self._failures.note(at_fault, _LONGEST_S if is_its_fault else _LONGEST_OUTSIDE_S)
            if is_its_fault:
                self._attest(wanted, error)
            return False
        if not self._attest(wanted):
            self._failures.note(wanted.digest, _LONGEST_OUTSIDE_S)
            return False
        self._failures.forget(wanted, wanted.digest)
        self._settled[wanted.model_id] = wanted
        if self._told.get(wanted.model_id) != wanted.digest:
            self._told[wanted.model_id] = wanted.digest
            self._say(f"{what}: runs, {wanted.digest}")
        return True

    def _is_refused(self, wanted: Assignment) -> bool:
        if not self._probation.refuses(wanted):
            return False
        if wanted.digest not in self._refused:
            self._refused.add(wanted.digest)
            self._say(f"{wanted.model_id} {wanted.version}: was taken back, and is not tried")
        return True

    def _confirm(self, wanted: Assignment) -> None:
        """Look again at what was activated a while ago, and attest what is there now.

        Raises:
            UnauthorizedError: the control plane does not take the access token.
        """
        try:
            found = self._activator.running(wanted.model_id)
        except (OctomilError, OSError) as error:  # says nothing about the release; it stays due
            self._say(f"{wanted.model_id} {wanted.version}: {error}")
            return
        if found == wanted.digest:
            self._attest(wanted)
            return
        what = f"{wanted.digest} was activated, and {found} runs"
        self._attest(wanted, DigestMismatchError(what))
        self._failures.note(wanted.digest, _LONGEST_S)
        self._settled.pop(wanted.model_id, None)  # it is fetched again where it is damaged
        self._known_version = None

    def _tell_rejections(self) -> None:
        """Attest what was taken back, then what runs in its place.

        Raises:
            UnauthorizedError: the control plane does not take the access token.
        """
        for model_id, slots in self._book.all().items():
            rejection, key = slots.rejection, ("rejected", model_id)
            if rejection is None or rejection.is_told or not self._is_followed(model_id):
                continue
            if not self._failures.is_due(key):
                continue
            self._attestations.forget(model_id)
            try:
                self._attestations.post(rejection.candidate, rejection.failure)
                running = self._activator.running(model_id)
                now = None if running is None else self._releases.here(model_id, running)
                if now is not None and now.digest != rejection.candidate.digest:
                    self._attestations.post(now)
                if slots.previous is None:
                    self._book.told(model_id)
                else:  # it is still on its way back
                    self._failures.note(key, _LONGEST_OUTSIDE_S)
            except UnauthorizedError:
                raise
            except (OctomilError, OSError) as refusal:
                self._say(f"{model_id}: what was taken back was not told: {refusal}")
                self._failures.note(key, _LONGEST_OUTSIDE_S)

    def _attest(self, wanted: Assignment, error: Exception | None = None) -> bool:
        """Tell the control plane what came of an assignment; return whether it heard.

        Raises:
            UnauthorizedError: it does not take the access token.
        """
        if self._stages is not None:
            self._stages.forget(wanted.model_id)
        try:
            failure = None if error is None else failure_of(error)
            self._probation.extend(wanted.model_id, self._attestations.tell(wanted, failure))
        except UnauthorizedError:
            raise
        except (OctomilError, OSError) as refusal:
            status = "active" if error is None else "failed"
            what = f"{wanted.model_id} {wanted.version}"
            self._say(f"{what}: that it is {status} was not told: {refusal}")
            return False
        return True

    def _tell_stage(self, wanted: Assignment, stage: Stage) -> None:
        if self._stages is not None:
            self._stages.tell(wanted, stage)

    def _jittered(self, seconds: float) -> float:
        return seconds * (0.8 + 0.4 * self._rng.random())

    def _say(self, line: str) -> None:
        self._tell(plain_text(line))  # some of it is from the server

    def _path(self, *more: str) -> str:
        return path_to("devices", self._session.device_id, *more)
