"""What becomes of devices that had come to no end when their rollout was over.

A rollout that was withdrawn expects nothing more of anybody. The version of a completed one may
still be taken, by whoever comes late, so that its devices have as long as they had before.
"""

from datetime import datetime, timedelta

from octomil.rollouts.device_states import (
    SILENCE,
    UNFINISHED,
    DeviceProgress,
    let_go,
    overdue,
)


def silent_since(health_window_s: float, now: datetime) -> datetime:
    """Return since when a device must have moved, or it is silent for too long."""
    return now - timedelta(seconds=health_window_s) - SILENCE


def ended(
    progress: DeviceProgress, *, health_window_s: float, is_told: bool, now: datetime
) -> DeviceProgress:
    """Return where a device stands whose rollout is over; the same while it has time.

    Args:
        progress: where it stands.
        health_window_s: seconds for which it must stay healthy.
        is_told: whether it is still told to run the version by that rollout; else it is let go.
        now: the time.
    """
    if not is_told:
        return let_go(progress, now)
    limit_s = health_window_s + SILENCE.total_seconds()
    return overdue(progress, dict.fromkeys(UNFINISHED, limit_s), now)
