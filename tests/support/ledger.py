"""A pytest plugin: where the time went, folder by folder, and nothing skipped unseen under CI."""

import os
from collections import defaultdict

import pytest


class Ledger:
    """Adds up the seconds of each folder of tests, and notes who was skipped."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._tests: defaultdict[str, int] = defaultdict(int)
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        folder = report.nodeid.split("/")[1] if "/" in report.nodeid else "."
        self._seconds[folder] += report.duration
        self._tests[folder] += report.when == "call"
        if report.skipped and "optional" not in report.keywords:
            self._skipped.append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("time per folder", "-")
        for folder, seconds in sorted(self._seconds.items(), key=lambda item: -item[1]):
            line = f"{seconds:8.1f} s  {self._tests[folder]:6,} tests  {folder}"
            terminalreporter.line(line)
        for nodeid in self._skipped if _is_ci() else ():
            terminalreporter.line(f"skipped, which fails here: {nodeid}", red=True)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if _is_ci() and self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_ci() -> bool:
    return os.environ.get("CI") == "true"
