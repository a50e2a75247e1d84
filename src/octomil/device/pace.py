"""How often a device does things."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the agent does things.

    Attributes:
        poll_s: seconds between two questions what to run, which the control plane may spend
            waiting for news; each differs by up to a fifth, so that a fleet that was switched on
            together does not ask together.
        heartbeat_s: seconds between two signs of life.
        check_s: seconds between two looks at all that runs, byte by byte; differ likewise.
        probation_s: seconds that a release is watched after it was activated, or as long as the
            rollout's health window, if that is longer.
        retry_s: seconds between two trials of it meanwhile.
    """

    poll_s: float = 10.0
    heartbeat_s: float = 60.0
    check_s: float = 3600.0
    probation_s: float = 600.0
    retry_s: float = 120.0
