"""When the gates of a paused rollout are asked again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from octomil.control.services.paused_looks import ASKED_AGAIN, PausedLooks, Seen
from octomil.rollouts.device_states import DeviceProgress, DeviceState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CONFIRMING = DeviceProgress(
    digest="", generation=0, state=DeviceState.CONFIRMING, reached=DeviceState.CONFIRMING,
    since=NOW,
)  # fmt: skip
SEEN = Seen(rollout_id="rol_1", revision=3, devices=frozenset({(CONFIRMING, 5)}), at=NOW)


@pytest.fixture
def looks() -> PausedLooks:
    looks = PausedLooks()
    looks.note(SEEN)
    return looks


def test_what_was_never_seen_is_due():
    assert PausedLooks().is_due(SEEN)


def test_the_same_is_due_only_once_a_minute_has_passed(looks: PausedLooks):
    early = ASKED_AGAIN - timedelta(microseconds=1)

    assert not looks.is_due(SEEN)
    assert not looks.is_due(replace(SEEN, at=NOW + early))
    assert looks.is_due(replace(SEEN, at=NOW + ASKED_AGAIN))


@pytest.mark.parametrize(
    "changes",
    [
        {"devices": frozenset({(CONFIRMING, 6)})},
        {"revision": 4},
        {"rollout_id": "rol_2"},
        {"at": NOW - timedelta(seconds=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_new_is_due_at_once(looks: PausedLooks, changes: dict[str, object]):
    assert looks.is_due(replace(SEEN, **changes))


def test_what_is_over_is_forgotten(looks: PausedLooks):
    looks.note(replace(SEEN, rollout_id="rol_2"))

    looks.forget_all_but({"rol_2"})

    assert looks.is_due(SEEN)
    assert not looks.is_due(replace(SEEN, rollout_id="rol_2"))
