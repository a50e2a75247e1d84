"""Telling the control plane how releases fare here, each stretch of time counted once."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from octomil.device.session import Session
from octomil.errors import ApiError, RateLimitedError, UnauthorizedError, UnexpectedAnswerError
from octomil.http.api import path_to

_MOST_ROWS = 64
_KEPT_S = 3600.0
_SUMS = ("requests", "errors", "log_latency_ms_sum")
_SERVERS_FAULT = HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: Mapping[str, Any]
    since_s: float


class UsageReports:
    """Sends what was counted, under numbers by which the control plane tells a second try.

    A report goes on being sent, under the same number, until it is answered; what comes meanwhile
    goes into the next: one row of each version, however long nobody answers. What began to wait
    more than an hour ago is left out: the rollouts that it tells of have gone on.

    Args:
        session: the device's.
        take: returns what was counted since it was called last, as rows of the report.
        say: called with one line for people when a report is given up.
        began: below the number of the first report, and above all before a restart: seconds since
            the epoch will do, for a clock that went back is put right by the first answer.
        clock: tells monotonic seconds.
    """

    def __init__(
        self,
        session: Session,
        take: Callable[[], Sequence[Mapping[str, Any]]],
        *,
        say: Callable[[str], None],
        began: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._take = take
        self._say = say
        self._window = began
        self._clock = clock
        self._waiting: dict[Hashable, _Waiting] = {}
        self._unanswered: Sequence[Mapping[str, Any]] = ()
        self._is_second_try = False

    def send(self) -> None:
        """Send all there is.

        Raises:
            OctomilClientError: the control plane does not answer, or not now; what was to be sent
                is sent the next time.
        """
        self._gather()
        while self._unanswered or self._waiting:
            if not self._unanswered:
                first = list(self._waiting)[:_MOST_ROWS]
                self._unanswered = [self._waiting.pop(key).row for key in first]
                self._window += 1
            try:
                self._send_once()
            except UnauthorizedError:
                self._session.forget_access()
                raise
            except ApiError as error:
                if isinstance(error, RateLimitedError) or error.status >= _SERVERS_FAULT:
                    raise
                self._say(f"how releases fare was told in vain: {error}")
                self._settle()

    def _gather(self) -> None:
        now_s = self._clock()
        self._waiting = {
            key: each for key, each in self._waiting.items() if now_s - each.since_s <= _KEPT_S
        }
        for row in self._take():
            key = tuple(sorted((name, row[name]) for name in row.keys() - _SUMS))
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = _Waiting(row, now_s)
            else:
                self._waiting[key] = _Waiting(_added(waiting.row, row), waiting.since_s)

    def _send_once(self) -> None:
        body = {"window": self._window, "usage": self._unanswered}
        was_tried, self._is_second_try = self._is_second_try, True
        path = path_to("devices", self._session.device_id, "usage")
        answer = self._session.api.post(path, body)
        last, is_counted = _read(answer)
        if is_counted or (was_tried and last == self._window):
            self._settle()
        else:  # the number was taken before this process began
            self._window = max(last, self._window) + 1
            self._is_second_try = False

    def _settle(self) -> None:
        self._unanswered, self._is_second_try = (), False


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    sums = {name: one[name] + other[name] for name in one.keys() & _SUMS}
    return {**one, **sums}


def _read(answer: Any) -> tuple[int, bool]:
    """Return the number of the last report that was counted, and whether this one was."""
    try:
        last, is_counted = answer["window"], answer["counted"]
    except (KeyError, TypeError):
        last, is_counted = None, None
    if type(last) is not int or type(is_counted) is not bool:
        raise UnexpectedAnswerError(f"this answers no report of usage: {answer!r:.200}")
    return last, is_counted
