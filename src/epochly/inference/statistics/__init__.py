"""Statistics for decisions that are looked at while samples still arrive: numpy alone, vectorised.

For a decision at any time: `mean_sequence`, `mean_difference`, `rate_sequence`, `rate_excess`,
`rate_ratio`, `quantile_sequence`, `quantile_difference`. For one look at a number of samples fixed
beforehand: `welch_test`, `rate_upper_bound` and its kin. For shifts: `EwmaChart`.
"""

from epochly.inference.statistics.bounds import (
    clean_trials_needed,
    rate_interval,
    rate_lower_bound,
    rate_upper_bound,
)
from epochly.inference.statistics.ewma import EwmaChart, robust_location_scale
from epochly.inference.statistics.intervals import Comparison, Interval
from epochly.inference.statistics.means import mean_difference, mean_sequence
from epochly.inference.statistics.moments import Moments
from epochly.inference.statistics.quantiles import (
    quantile_difference,
    quantile_ranks,
    quantile_sequence,
)
from epochly.inference.statistics.rates import rate_excess, rate_ratio, rate_sequence
from epochly.inference.statistics.welch import WelchResult, welch_test

__all__ = [
    "Comparison",
    "EwmaChart",
    "Interval",
    "Moments",
    "WelchResult",
    "clean_trials_needed",
    "mean_difference",
    "mean_sequence",
    "quantile_difference",
    "quantile_ranks",
    "quantile_sequence",
    "rate_excess",
    "rate_interval",
    "rate_lower_bound",
    "rate_ratio",
    "rate_sequence",
    "rate_upper_bound",
    "robust_location_scale",
    "welch_test",
]
