"""`octomil device simulate`: what is told while it runs."""

import pytest

from octomil.cli.device_simulate import Telling
from octomil.device.simulation.fleet import Report


def report(seconds: float, **changes: int) -> Report:
    return Report(
        devices=2, devices_in=changes.get("devices_in", 2), seconds=seconds, running={"m@1.0.0": 2},
        requests={"poll": round(seconds)}, refused={"poll 503": changes.get("refused", 0)},
        attested={}, lies=0, repeated=0, reported=0, p50_ms=None, p99_ms=None,
    )  # fmt: skip


def test_off_a_terminal_only_what_is_new_is_told(capsys: pytest.CaptureFixture[str]):
    telling = Telling()

    for seconds in range(5):
        telling.tell(report(seconds, devices_in=min(seconds, 2)))
    telling.tell(report(5, refused=1))

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "[simulate] 0 s: 0 of 2 are in",
        "[simulate] 1 s: 1 of 2 are in",
        "[simulate] 2 s: 2 of 2 are in",
        "[simulate] 5 s: 2 of 2 are in",
    ]
