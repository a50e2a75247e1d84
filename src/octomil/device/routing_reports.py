"""Telling the control plane what a serving node did, minute by minute, each minute once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from octomil.device.answers import read_answer
from octomil.device.report_spool import ReportSpool, Spooled
from octomil.device.session import Session
from octomil.device.stopping import (
    NoThreadError,
    Stop,
    StoppedError,
    stop_after,
    unless_stopped,
)
from octomil.errors import (
    AnswerTimeoutError,
    BadRequestError,
    OctomilError,
    PayloadTooLargeError,
    UnauthorizedError,
)
from octomil.http.api import path_to
from octomil.http.exchange import Request
from octomil.wire.routing_series import MAX_MINUTES, MAX_ROWS, RoutingReceipt

REPORT_S = 60.0
"""Seconds between two reports, which fall on the minute."""

LEAVING_S = 5.0
"""Seconds in which the control plane may take what is left when the node ends."""

_TIMEOUT_S = 10.0
_MOST_BYTES = 512 * 1024
_MOST_UNWRITTEN = 256
_NEVER_TAKEN = (BadRequestError, PayloadTooLargeError)

TakeMinutes = Callable[[], Sequence[tuple[int, Sequence[Mapping[str, Any]]]]]
"""Returns the beginning of each minute since the last time, and the rows of its report."""


class RoutingReports:
    """Writes minutes down as they end, and sends them in order as soon as somebody answers.

    One thread has the spool. What it sends is sent in another, so that it can leave a control plane
    that is slow, and write down what was counted meanwhile, at the moment when the node ends.

    Args:
        session: who the device is.
        spool: where minutes wait; `run` closes it.
        take: returns what was counted since it was called last.
        say: called with one line for people, when reports begin to fail and when they are lost.
        now: tells seconds since 1970.
        every_s: seconds between two reports.
        leaving_s: how long the control plane is waited for at the end.
    """

    def __init__(
        self,
        session: Session,
        spool: ReportSpool,
        take: TakeMinutes,
        *,
        say: Callable[[str], None],
        now: Callable[[], float],
        every_s: float = REPORT_S,
        leaving_s: float = LEAVING_S,
    ) -> None:
        self._session = session
        self._spool = spool
        self._take = take
        self._say = say
        self._now = now
        self._every_s = every_s
        self._leaving_s = leaving_s
        self._unwritten: list[dict[str, Any]] = []
        self._last_said = ""

    def run(self, stop: Stop) -> None:
        """Report until `stop` is set, and once more then, whatever goes wrong meanwhile.

        What was counted by then is on the disk before the control plane is asked for anything more.
        """
        with closing(self._spool):
            with suppress(StoppedError):  # what that leaves unanswered is sent once more below
                self._report_until(stop)
            self._try(self.write)
            self._try(self._send_at_last)

    def _report_until(self, stop: Stop) -> None:
        self._try(partial(self.send, stop))  # what an earlier process could not
        while not stop.wait(self._every_s - self._now() % self._every_s):
            self._try(self.write)
            self._try(partial(self.send, stop))

    def _send_at_last(self) -> None:
        try:
            with stop_after(self._leaving_s) as over:
                self.send(over)
        except StoppedError:
            raise AnswerTimeoutError(f"no answer within {self._leaving_s:g} seconds") from None

    def write(self) -> None:
        """Write down what was counted; what the disk does not take waits in memory for a while.

        Raises:
            OSError: the disk takes nothing now.
        """
        for start_s, rows in self._take():
            for first in range(0, len(rows), MAX_ROWS):
                some = list(rows[first : first + MAX_ROWS])
                self._unwritten.append({"start_s": start_s, "rows": some})
        if (excess := len(self._unwritten) - _MOST_UNWRITTEN) > 0:
            del self._unwritten[:excess]
            self._spool.dropped += excess
        while self._unwritten:
            self._spool.append(self._unwritten[0])
            del self._unwritten[0]

    def send(self, stop: Stop) -> None:
        """Send all that waits, until that is told to stop.

        Raises:
            StoppedError: it was, before there was an answer; what was under way may yet be counted,
                and is so once.
            NoThreadError: the machine has no thread to spare.
            OctomilClientError: the control plane does not answer, or takes nothing now.
            OSError: what was sent cannot be taken off the disk; it counts once all the same.
        """
        while some := self._spool.first(MAX_MINUTES, _MOST_BYTES):
            self._deliver(some, stop)
        self._last_said = ""

    def _deliver(self, some: Sequence[Spooled], stop: Stop) -> None:
        """Send some reports until each is taken, or known never to be. Raises as `send` does."""
        try:
            receipt = self._post(some, stop)
        except UnauthorizedError:
            self._session.forget_access()
            raise
        except _NEVER_TAKEN as error:
            if half := len(some) // 2:  # one of them spoils the others: halve until it is alone
                self._deliver(some[:half], stop)
                self._deliver(some[half:], stop)
                return
            self._say(f"a minute of routing was told in vain: {error}")
            self._spool.settle(some[-1].number, lost=1)
            return
        if receipt.passed_over:
            self._say(f"{receipt.passed_over} minutes of routing were too old to be counted")
        self._spool.settle(some[-1].number)

    def _post(self, some: Sequence[Spooled], stop: Stop) -> RoutingReceipt:
        """Send some reports, once: they wait for the next time anyway."""
        minutes = [{"number": each.number, **each.content} for each in some]
        body = {"spool": self._spool.name, "dropped": self._spool.dropped, "minutes": minutes}
        return unless_stopped(stop, partial(self._tell, body))

    def _tell(self, body: Mapping[str, Any]) -> RoutingReceipt:
        """Return what a report is answered with; runs in a thread of its own."""
        path = path_to("devices", self._session.device_id, "routing")
        answer = self._session.api.call(
            Request(method="POST", path=path, json=body, timeout_s=_TIMEOUT_S, is_repeatable=False)
        )
        return read_answer(answer, RoutingReceipt, "a receipt of routing")

    def _try(self, act: Callable[[], None]) -> None:
        """Do something, and say once if it goes wrong."""
        try:
            act()
        except (OctomilError, OSError, NoThreadError) as error:
            said = f"what was routed could not be told yet, and waits: {error}"
            if said != self._last_said:
                self._last_said = said
                self._say(said)
