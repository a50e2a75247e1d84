"""How many examples chance makes up for a test: a few each time, and many in a campaign."""

import os

from hypothesis import HealthCheck, settings

TIMES = "OCTOMIL_TEST_TIMES_EXAMPLES"
"""The variable that says how many times the usual number it is to be."""


def examples(usual: int) -> settings:
    """Settings for `usual` examples, or as many times that as the campaign asks for."""
    return settings(
        max_examples=usual * int(os.environ.get(TIMES, "1")),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
