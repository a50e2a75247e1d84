"""What inference costs, and what an optimisation saves."""

from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from threading import Lock
from time import monotonic
from typing import Literal

from epochly.errors import ConfigurationError
from epochly.inference.metrics import gpu_prices

HOURS_PER_MONTH = 730
_WINDOW_S = 3600.0
_SLOTS = 120
_SHORTEST_S = 1.0


class CostEstimator:
    """Estimate the cost of inference from GPU time and a price per hour.

    Savings are told as they are: an optimisation that costs more GPU time saves a negative
    amount. Before the first record everything is 0.

    Args:
        gpu_name: such as `"A100_80GB"`, `"H100"`, `"T4"` or `"NVIDIA A100-SXM4-80GB"`; case,
            spaces and the maker's name do not matter. An unknown one costs $1.00 an hour.
        custom_rate: USD per GPU-hour; used instead of the table when it is above 0.
        prices: a table of your own, from normalised name to USD per hour; the default one, its
            date and its sources are in `epochly.inference.metrics.gpu_prices`.
        clock: a monotonic clock in seconds.

    Raises:
        ConfigurationError: the rate, or the rate found in `prices`, is no finite number.

    Attributes:
        hourly_rate: USD per GPU-hour.
        rate_source: where it comes from: `custom`, `table` or `fallback`.

    Example:
        >>> cost = CostEstimator("H100", custom_rate=3.60)
        >>> cost.record_inference(baseline_gpu_seconds=0.020, optimized_gpu_seconds=0.005)
        >>> baseline, optimized = cost.cost_per_1k_requests
        >>> f"{baseline:.3f} {optimized:.3f}"
        '0.020 0.005'
    """

    def __init__(
        self,
        gpu_name: str,
        custom_rate: float | None = None,
        *,
        prices: Mapping[str, float] = gpu_prices.USD_PER_HOUR,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.gpu_name = gpu_name
        self.hourly_rate, self.rate_source = _rate(gpu_name, custom_rate, prices)
        self._clock = clock
        self._lock = Lock()
        self._count = 0
        self._baseline_s = 0.0
        self._optimized_s = 0.0
        self._traffic = _Traffic()

    def record_inference(self, baseline_gpu_seconds: float, optimized_gpu_seconds: float) -> None:
        """Record a single inference.

        Args:
            baseline_gpu_seconds: GPU time it takes, or would have taken, without optimisation.
            optimized_gpu_seconds: GPU time it took.

        Raises:
            ConfigurationError: a time is negative or no finite number.
        """
        if not 0 <= baseline_gpu_seconds < inf or not 0 <= optimized_gpu_seconds < inf:
            raise ConfigurationError(
                "GPU seconds must be numbers of at least 0, "
                f"got {baseline_gpu_seconds} and {optimized_gpu_seconds}"
            )
        with self._lock:
            self._count += 1
            self._baseline_s += baseline_gpu_seconds
            self._optimized_s += optimized_gpu_seconds
            self._traffic.count(self._clock())

    @property
    def gpu_seconds_per_request(self) -> tuple[float, float]:
        """Mean GPU-seconds per request: baseline, optimised."""
        with self._lock:
            count = max(self._count, 1)
            return self._baseline_s / count, self._optimized_s / count

    @property
    def cost_per_1k_requests(self) -> tuple[float, float]:
        """USD per 1000 requests: baseline, optimised."""
        baseline_s, optimized_s = self.gpu_seconds_per_request
        per_second = self.hourly_rate / 3600 * 1000
        return baseline_s * per_second, optimized_s * per_second

    @property
    def observed_requests_per_hour(self) -> float:
        """Requests per hour over the last hour, or since the first one if that is less ago.

        0 before the second request; a burst shorter than a second counts as one second.
        """
        with self._lock:
            return self._traffic.per_hour(self._clock())

    @property
    def projected_hourly_savings(self) -> float:
        """USD an hour at the observed rate; negative if the optimisation costs more."""
        baseline, optimized = self.cost_per_1k_requests
        return (baseline - optimized) / 1000 * self.observed_requests_per_hour

    @property
    def projected_monthly_savings(self) -> float:
        """USD a month of 730 hours at the observed rate."""
        return self.projected_hourly_savings * HOURS_PER_MONTH


def _rate(
    gpu_name: str, custom_rate: float | None, prices: Mapping[str, float]
) -> tuple[float, Literal["custom", "table", "fallback"]]:
    if custom_rate is not None and not -inf < custom_rate < inf:
        raise ConfigurationError(f"custom_rate must be USD per hour, got {custom_rate}")
    if custom_rate is not None and custom_rate > 0:
        return custom_rate, "custom"
    found = gpu_prices.usd_per_hour(gpu_name, prices)
    if found is None:
        return gpu_prices.FALLBACK_USD_PER_HOUR, "fallback"
    if not 0 <= found < inf:
        raise ConfigurationError(f"the price of {gpu_name} must be USD per hour, got {found}")
    return found, "table"


class _Traffic:
    """Requests of the last hour, in slots of 30 seconds: bounded memory at any rate."""

    def __init__(self) -> None:
        self._slots: deque[list[float]] = deque()  # [start, count]
        self._total = 0.0
        self._first: float | None = None

    def count(self, now: float) -> None:
        if self._first is None:
            self._first = now
        self._forget(now)
        if not self._slots or now >= self._slots[-1][0] + _WINDOW_S / _SLOTS:
            self._slots.append([now, 0])
        self._slots[-1][1] += 1
        self._total += 1

    def per_hour(self, now: float) -> float:
        self._forget(now)
        if self._first is None or self._total < 2:
            return 0.0
        span_s = min(_WINDOW_S, max(now - self._first, _SHORTEST_S))
        return self._total / span_s * 3600

    def _forget(self, now: float) -> None:
        while self._slots and self._slots[0][0] <= now - _WINDOW_S:
            self._total -= self._slots.popleft()[1]
