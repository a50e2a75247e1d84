"""Reports of routing against a real server that answers as told: each minute is counted once."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from octomil.device.report_spool import ReportSpool
from octomil.device.routing_reports import RoutingReports
from octomil.device.session import Session
from octomil.device.state import Identity, StateFolder
from octomil.device.stopping import Stop
from octomil.errors import (
    InsufficientSpaceError,
    OctomilClientError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from octomil.wire.routing_series import MAX_MINUTES, MAX_ROWS
from support.scripted import Answer, Script, problem, scripted
from support.waiting import PATIENCE_S

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = {"Retry-After": "3600"}  # so long that nobody waits for it


def row(number: int = 1) -> dict[str, Any]:
    return {"model": f"m{number}", "tier": 1, "requests": 1}


def counted(number: int, passed_over: int = 0) -> Answer:
    told = {"device_id": "dev_1", "number": number, "counted": 1, "passed_over": passed_over}
    return Answer(told)


class Reporter:
    """What is to be told, and what was said about it."""

    def __init__(
        self,
        script: Script,
        session: Session,
        state: StateFolder,
        *,
        leaving_s: float = PATIENCE_S,
    ) -> None:
        self.script = script
        self.lines: list[str] = []
        self.minutes: list[tuple[int, list[dict[str, Any]]]] = []
        self.spool = ReportSpool(state.routing_spool)
        self.reports = RoutingReports(
            session,
            self.spool,
            self._take,
            say=self.lines.append,
            now=lambda: 59.9999,
            leaving_s=leaving_s,
        )

    def _take(self) -> list[tuple[int, list[dict[str, Any]]]]:
        taken, self.minutes = self.minutes, []
        return taken

    def report(self, *starts: int) -> None:
        self.minutes += [(start, [row()]) for start in starts]
        self.reports.write()
        self.reports.send(Stop())

    @property
    def told(self) -> list[list[tuple[int, int]]]:
        """The numbers and beginnings of the minutes in each report that arrived."""
        bodies = [asked.json for asked in self.script.asked if asked.path.endswith("/routing")]
        return [[(m["number"], m["start_s"]) for m in body["minutes"]] for body in bodies]


@pytest.fixture
def reporting(state: StateFolder) -> Callable[..., Any]:
    @contextmanager
    def begin(*answers: Answer) -> Iterator[Reporter]:
        with scripted(*answers) as script:
            base = f"{script.url}/api/v1"
            with session_at(base, state) as session:
                reporter = Reporter(script, session, state)
                yield reporter
                reporter.spool.close()

    return begin


@contextmanager
def session_at(base: str, state: StateFolder) -> Iterator[Session]:
    """The session of a device that is known there."""
    state.keep_identity(
        Identity(
            api_base=base, device_identifier="box-1", device_id="dev_1",
            access_token="old", refresh_token="r1", expires_at=NOW + timedelta(hours=1),
        )
    )  # fmt: skip
    session = Session(state, base, None, None, lambda: NOW)
    yield session
    session.close()


def test_minutes_are_sent_in_order_with_the_spool_s_name(reporting):
    with reporting(counted(2), counted(3)) as reporter:
        reporter.report(60, 120)
        reporter.report(180)

        assert reporter.told == [[(1, 60), (2, 120)], [(3, 180)]]
        body = reporter.script.asked[0].json
        assert (body["spool"], body["dropped"]) == (reporter.spool.name, 0)
        assert body["minutes"][0]["rows"] == [row()]
        assert {asked.path for asked in reporter.script.asked} == {"/api/v1/devices/dev_1/routing"}
        assert (len(reporter.spool), reporter.lines) == (0, [])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem("service_unavailable", 503, headers=LATER), ServiceUnavailableError),
        (problem("rate_limited", 429, headers=LATER), RateLimitedError),
        (problem("unauthorized", 401), UnauthorizedError),
        (problem("not_found", 404), OctomilClientError),
        (Answer(b"<html>"), UnexpectedAnswerError),
        (Answer({"number": "x"}), UnexpectedAnswerError),
        (Answer({}, cut=0), OctomilClientError),
    ],
)
def test_what_nobody_took_is_sent_again_under_the_same_number(reporting, answer, error):
    with reporting(answer, counted(2)) as reporter:
        with pytest.raises(error):
            reporter.report(60)
        if error is UnauthorizedError:  # it asks for new tokens first
            reporter.script.answers.appendleft(answer)
            with pytest.raises(UnauthorizedError):
                reporter.report(120)
            assert reporter.told == [[(1, 60)]]
            return
        reporter.report(120)

        assert reporter.told == [[(1, 60)], [(1, 60), (2, 120)]]
        assert len(reporter.spool) == 0


def test_what_is_never_taken_goes_and_is_told_of_as_dropped(reporting):
    with reporting(problem("bad_request", 400), counted(2)) as reporter:
        reporter.report(60)
        reporter.report(120)

        assert reporter.told == [[(1, 60)], [(2, 120)]]
        assert reporter.script.asked[1].json["dropped"] == 1
        (line,) = reporter.lines
        assert line.startswith("a minute of routing was told in vain: ")


@pytest.mark.parametrize(("code", "status"), [("bad_request", 400), ("payload_too_large", 413)])
def test_a_minute_that_is_never_taken_takes_no_other_with_it(reporting, code, status):
    refused = problem(code, status)
    with reporting(refused, counted(2), refused, refused, counted(4), counted(5)) as reporter:
        reporter.report(60, 120, 180, 240)
        reporter.report(300)

        first, second, third, fourth = (1, 60), (2, 120), (3, 180), (4, 240)
        halves = [[first, second], [third, fourth], [third], [fourth]]
        assert reporter.told == [[first, second, third, fourth], *halves, [(5, 300)]]
        dropped = [asked.json["dropped"] for asked in reporter.script.asked]
        assert (dropped, len(reporter.spool)) == ([0, 0, 0, 0, 1, 1], 0)
        (line,) = reporter.lines
        assert line.startswith("a minute of routing was told in vain: ")


def test_what_was_not_found_to_be_refused_yet_is_sent_again(reporting):
    refused, away = problem("bad_request", 400), problem("service_unavailable", 503, headers=LATER)
    with reporting(refused, counted(1), away, refused, refused, counted(3)) as reporter:
        with pytest.raises(ServiceUnavailableError):
            reporter.report(60, 120)
        reporter.report(180)

        first, second, third = (1, 60), (2, 120), (3, 180)
        assert reporter.told == [
            [first, second], [first], [second], [second, third], [second], [third]
        ]  # fmt: skip
        assert reporter.spool.dropped == 1


def test_minutes_that_were_passed_over_are_told_of(reporting):
    with reporting(counted(1, passed_over=1)) as reporter:
        reporter.report(60)
        assert reporter.lines == ["1 minutes of routing were too old to be counted"]


def test_many_minutes_and_rows_go_in_several_reports(reporting):
    with reporting(counted(1)) as reporter:
        reporter.minutes = [(60, [row(number) for number in range(MAX_ROWS + 1)])]
        reporter.report(*(60 * number for number in range(2, MAX_MINUTES + 1)))

        assert [len(each) for each in reporter.told] == [MAX_MINUTES, 1]
        first, second, *_ = reporter.script.asked[0].json["minutes"]
        assert [len(each["rows"]) for each in (first, second)] == [MAX_ROWS, 1]
        assert first["start_s"] == second["start_s"] == 60


def test_what_the_disk_does_not_take_waits_in_memory(reporting, monkeypatch):
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with reporting(counted(9)) as reporter:
        with monkeypatch.context() as patched:
            patched.setattr("octomil.device.report_spool.os.fsync", full)
            with pytest.raises(InsufficientSpaceError):
                reporter.report(60, 120)
        reporter.report(180)

        assert reporter.told == [[(1, 60), (2, 120), (3, 180)]]
        assert reporter.spool.dropped == 0


def test_at_the_end_what_is_left_is_written_down_and_sent(reporting):
    with reporting(problem("service_unavailable", 503, headers=LATER)) as reporter:
        reporter.minutes = [(60, [row()])]
        stop = Stop()
        stop.set()
        reporter.reports.run(stop)

        assert reporter.told == [[(1, 60)]]
        assert len(reporter.spool) == 1
        (line,) = reporter.lines
        assert line.startswith("what was routed could not be told yet, and waits: ")


def test_at_the_end_nothing_is_lost_by_a_control_plane_that_does_not_answer(state, monkeypatch):
    monkeypatch.setattr("octomil.device.routing_reports._TIMEOUT_S", 10 * PATIENCE_S)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}/api/v1"
        with session_at(base, state) as session:
            reporter = Reporter(Script(), session, state, leaving_s=0.0)
            reporter.spool.append({"start_s": 60, "rows": [row()]})
            stop = Stop()
            runs = threading.Thread(target=reporter.reports.run, args=(stop,), daemon=True)
            runs.start()
            silent.settimeout(PATIENCE_S)
            with silent.accept()[0] as asked:
                assert asked.recv(4).startswith(b"POST")  # and nobody answers
                reporter.minutes = [(120, [row()])]
                stop.set()
                runs.join(PATIENCE_S)

                assert not runs.is_alive()
            again = ReportSpool(state.routing_spool)
            assert [each.content["start_s"] for each in again.first(9, 2**20)] == [60, 120]
            again.close()
            with pytest.raises(ValueError, match="closed file"):  # it left the spool to the next
                reporter.spool.append({})
            assert reporter.lines == [
                "what was routed could not be told yet, and waits: no answer within 0 seconds"
            ]
