"""A small sample of `bench/steering.py`: a good version that loses its file on the way."""

import pytest
from bench.fleets import World
from bench.steering import course

from octomil.control.services.wave_files import StoreAnswer, WaveFiles
from octomil.rollouts.states import Action

FLEET = World(devices=1_000, offline=0, churn=0, lying=0, failures=0, broken_before=0)
"""Nothing about it is left to chance but which devices go first."""

LOST_AT = 3


def test_a_rollout_whose_file_is_lost_fails_before_its_next_wave():
    found = course(FLEET, 1, LOST_AT)

    assert found.failed_in_time
    assert found.history[-1].action is Action.FAIL


def test_a_wave_for_a_file_that_is_lost_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(WaveFiles, "ask", lambda self, rollout, files: StoreAnswer())

    found = course(FLEET, 1, LOST_AT)

    assert not found.failed_in_time
    assert found.sent is not None
    assert found.history[-1].after.offered_percentage > found.sent
