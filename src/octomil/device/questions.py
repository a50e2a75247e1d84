"""Asking the control plane what to run: at once, or waiting there for news."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from octomil.device.answers import read_answer
from octomil.device.session import Session
from octomil.device.stopping import NoThreadError, Stop, unless_stopped
from octomil.errors import BadRequestError, OctomilClientError, UnauthorizedError
from octomil.http.api import path_to
from octomil.http.exchange import Request
from octomil.wire.devices import MAX_WAIT_S, AssignmentsAnswer

ANSWER_S: Final = 30.0
"""So much later than the end of its wait a held question may be answered."""
PLAIN_S: Final = 3600.0
"""So long a control plane that cannot hold questions is asked plainly."""
FRESH_S: Final = 1.0
"""So long an answer is taken for granted: a pause is to hold within a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long a question may be held.

    Attributes:
        seconds: until it is answered, news or not; no more than `MAX_WAIT_S` are asked for.
        stop: ends it.
    """

    seconds: float
    stop: Stop


class Questions:
    """What one device asks.

    Args:
        session: who it is.
        clock: tells monotonic seconds.
    """

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._is_told_nothing = False
        self._plain_until_s = clock()
        self._answered_at_s: float | None = None

    def ask(self, known_version: int | None, wait: Wait | None = None) -> AssignmentsAnswer:
        """Return what the device is to run.

        Whatever goes wrong with waiting, it asks again without.

        Args:
            known_version: the number of the plan that it has.
            wait: how long the control plane may wait for news; None for an answer at once.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
            StoppedError: the device was told to stop meanwhile.
        """
        if wait is None or self._clock() < self._plain_until_s:
            return self._asked(known_version)
        try:
            return unless_stopped(wait.stop, partial(self._held, known_version, wait.seconds))
        except NoThreadError:
            return self._asked(known_version)
        except UnauthorizedError:
            raise
        except OctomilClientError as error:
            if isinstance(error, BadRequestError):  # it does not know what to wait is
                self._plain_until_s = self._clock() + PLAIN_S
            return self._asked(known_version)

    def news(self, known_version: int | None) -> AssignmentsAnswer | None:
        """Return what the device is told where that may have changed since the last answer.

        Returns:
            None if it did not: the last answer came just now, or it still holds. Of a question that
            was held that moment is its end.

        Raises:
            OctomilClientError: as for :meth:`ask`.
        """
        at_s = self._answered_at_s
        if at_s is not None and self._clock() - at_s <= FRESH_S:
            return None
        answer = self.ask(known_version)
        return answer if answer.updated else None

    def _held(self, known_version: int | None, seconds: float) -> AssignmentsAnswer:
        """Ask, and wait for news.

        Who is told to run nothing has no number that somebody signed. It names none: then nothing
        is no news.
        """
        seconds = round(min(seconds, MAX_WAIT_S), 3)
        known = None if self._is_told_nothing else known_version
        return self._read(
            Request(
                method="GET",
                path=self._path,
                query={"config_version": known, "wait_s": seconds},
                timeout_s=seconds + ANSWER_S,
                is_repeatable=False,
            )
        )

    def _asked(self, known_version: int | None) -> AssignmentsAnswer:
        query = {"config_version": known_version}
        return self._read(Request(method="GET", path=self._path, query=query))

    def _read(self, request: Request) -> AssignmentsAnswer:
        answer = read_answer(self._session.api.call(request), AssignmentsAnswer, "what to run")
        self._answered_at_s = self._clock()
        if answer.updated:
            self._is_told_nothing = not answer.assignments
        return answer

    @property
    def _path(self) -> str:
        return path_to("devices", self._session.device_id, "assignments")
