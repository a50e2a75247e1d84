"""Reports of usage against a real server that answers as told: each row is counted once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from octomil.device.session import Session
from octomil.device.state import Identity, StateFolder
from octomil.device.usage_reports import UsageReports
from octomil.errors import (
    OctomilClientError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from support.scripted import Answer, Script, problem, scripted

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGAN = 100
LATER = {"Retry-After": "3600"}  # so long that nobody waits for it


def row(number: int) -> dict[str, Any]:
    return {"model_id": "m", "digest": f"sha256:{number}", "tier": "", "requests": 1}


def counted(window: int, *, counted: bool = True) -> Answer:
    return Answer({"device_id": "dev_1", "window": window, "counted": counted})


class Reporter:
    """What is to be told, and what was said about it."""

    def __init__(self, script: Script, session: Session) -> None:
        self.script = script
        self.session = session
        self.lines: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.now_s = 0.0
        self.reports = UsageReports(
            session, self._take, say=self.lines.append, began=BEGAN,
            clock=lambda: self.now_s,
        )  # fmt: skip

    def _take(self) -> list[dict[str, Any]]:
        taken, self.rows = self.rows, []
        return taken

    def send(self, *rows: dict[str, Any]) -> None:
        self.rows += rows
        self.reports.send()

    @property
    def told(self) -> list[tuple[int, list[str]]]:
        """The number of each report that arrived, and the digests in it."""
        bodies = [asked.json for asked in self.script.asked]
        return [(body["window"], [each["digest"] for each in body["usage"]]) for body in bodies]


@pytest.fixture
def reporting(state: StateFolder) -> Callable[..., Any]:
    @contextmanager
    def begin(*answers: Answer) -> Iterator[Reporter]:
        with scripted(*answers) as script:
            base = f"{script.url}/api/v1"
            state.keep_identity(
                Identity(
                    api_base=base, device_identifier="box-1", device_id="dev_1",
                    access_token="old", refresh_token="r1", expires_at=NOW + timedelta(hours=1),
                )
            )  # fmt: skip
            session = Session(state, base, None, None, lambda: NOW)
            yield Reporter(script, session)
            session.close()

    return begin


def test_each_report_has_the_next_number(reporting):
    with reporting(counted(101), counted(102)) as reporter:
        reporter.send(row(1), row(2))
        reporter.send(row(3))

        assert reporter.told == [(101, ["sha256:1", "sha256:2"]), (102, ["sha256:3"])]
        paths = {asked.path for asked in reporter.script.asked}
        assert paths == {"/api/v1/devices/dev_1/usage"}


def test_where_nothing_was_asked_nothing_is_told(reporting):
    with reporting(counted(101)) as reporter:
        reporter.send()

        assert reporter.told == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem("service_unavailable", 503, headers=LATER), ServiceUnavailableError),
        (problem("rate_limited", 429, headers=LATER), RateLimitedError),
        (Answer(["nonsense"]), UnexpectedAnswerError),
    ],
)
def test_report_that_was_not_answered_is_sent_again_under_its_number(
    reporting, answer: Answer, error: type[OctomilClientError]
):
    with reporting(answer, counted(101, counted=False), counted(102)) as reporter:
        with pytest.raises(error):
            reporter.send(row(1))

        reporter.send(row(2))

        assert reporter.told == [(101, ["sha256:1"]), (101, ["sha256:1"]), (102, ["sha256:2"])]


@pytest.mark.parametrize("last", [101, 5000])
def test_number_that_was_taken_before_a_restart_is_left_behind(reporting, last: int):
    with reporting(counted(last, counted=False), counted(last + 1)) as reporter:
        reporter.send(row(1))

        assert reporter.told == [(101, ["sha256:1"]), (last + 1, ["sha256:1"])]


def test_report_that_is_refused_is_given_up_and_said(reporting):
    with reporting(problem("bad_request", 400), counted(102)) as reporter:
        reporter.send(row(1))
        reporter.send(row(2))

        assert reporter.told[-1] == (102, ["sha256:2"])
        assert ["in vain" in line for line in reporter.lines] == [True]


def test_token_that_is_not_taken_is_renewed_before_the_next_try(reporting):
    with reporting(problem("unauthorized", 401)) as reporter:
        with pytest.raises(UnauthorizedError):
            reporter.send(row(1))

        assert reporter.session._is_void


def test_many_rows_come_in_several_reports(reporting):
    answers = [counted(number) for number in (101, 102, 103)]
    with reporting(*answers) as reporter:
        reporter.send(*(row(number) for number in range(130)))

        assert [len(digests) for _, digests in reporter.told] == [64, 64, 2]


AWAY = problem("service_unavailable", 503, headers=LATER)


def test_rows_of_one_version_are_one_however_long_nobody_answers(reporting):
    with reporting(AWAY, AWAY, AWAY, counted(101), counted(102)) as reporter:
        for _ in range(3):
            with pytest.raises(ServiceUnavailableError):
                reporter.send(row(1))

        reporter.send(row(1), row(2))

        first, last = (asked.json["usage"] for asked in reporter.script.asked[-2:])
        assert first == [row(1)]
        assert [each["digest"] for each in last] == ["sha256:1", "sha256:2"]
        assert last[0]["requests"] == 3 * row(1)["requests"]


def test_rows_that_waited_for_more_than_an_hour_are_left_out(reporting):
    with reporting(AWAY, AWAY, counted(101), counted(102)) as reporter:
        for reporter.now_s in (0.0, 1.0):
            with pytest.raises(ServiceUnavailableError):
                reporter.send(row(int(reporter.now_s)))

        reporter.now_s = 3602.0
        reporter.send(row(2))

        assert reporter.told[-2:] == [(101, ["sha256:0"]), (102, ["sha256:2"])]
