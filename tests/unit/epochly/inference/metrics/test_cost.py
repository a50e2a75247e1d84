import pytest

from epochly.inference.metrics import CostEstimator
from support.manual_clock import ManualClock

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_before_the_first_inference_everything_is_zero():
    cost = CostEstimator("H100")

    assert cost.gpu_seconds_per_request == (0.0, 0.0)
    assert cost.cost_per_1k_requests == (0.0, 0.0)
    assert cost.observed_requests_per_hour == 0.0
    assert (cost.projected_hourly_savings, cost.projected_monthly_savings) == (0.0, 0.0)


def test_costs_follow_from_gpu_time_and_rate(clock: ManualClock):
    cost = CostEstimator("H100", custom_rate=3.6, clock=clock)
    for _ in range(10):
        cost.record_inference(0.3, 0.1)
        cost.record_inference(0.1, 0.1)
        clock.advance(36.0)

    assert cost.gpu_seconds_per_request == pytest.approx((0.2, 0.1))
    assert cost.cost_per_1k_requests == pytest.approx((0.2, 0.1))
    assert cost.observed_requests_per_hour == pytest.approx(200.0)
    assert cost.projected_hourly_savings == pytest.approx(0.02)
    assert cost.projected_monthly_savings == pytest.approx(0.02 * 730)


def test_what_costs_more_saves_a_negative_amount(clock: ManualClock):
    cost = CostEstimator("T4", custom_rate=1.0, clock=clock)
    for _ in range(2):
        cost.record_inference(0.1, 0.2)
        clock.advance(900.0)

    assert cost.projected_hourly_savings == pytest.approx(-0.1 * 4 / 3600)
    assert cost.projected_monthly_savings == pytest.approx(-0.1 * 4 / 3600 * 730)


def test_one_request_is_no_rate(clock: ManualClock):
    cost = CostEstimator("T4", clock=clock)
    cost.record_inference(0.1, 0.1)
    clock.advance(60.0)

    assert cost.observed_requests_per_hour == 0.0


def test_burst_counts_as_a_second(clock: ManualClock):
    cost = CostEstimator("T4", clock=clock)
    for _ in range(5):
        cost.record_inference(0.1, 0.1)

    assert cost.observed_requests_per_hour == 5 * 3600


def test_rate_is_that_of_the_last_hour(clock: ManualClock):
    cost = CostEstimator("T4", clock=clock)
    for _ in range(7200):
        cost.record_inference(0.1, 0.1)
        clock.advance(0.5)
    assert cost.observed_requests_per_hour == pytest.approx(7200, rel=0.01)

    for _ in range(3600):
        cost.record_inference(0.1, 0.1)
        clock.advance(1.0)
    assert cost.observed_requests_per_hour == pytest.approx(3600, rel=0.01)

    clock.advance(1800.0)
    assert cost.observed_requests_per_hour == pytest.approx(1800, rel=0.02)
    clock.advance(1801.0)
    assert cost.observed_requests_per_hour == 0.0


def test_memory_of_the_window_is_bounded(clock: ManualClock):
    cost = CostEstimator("T4", clock=clock)
    for _ in range(10_000):
        cost.record_inference(0.1, 0.1)
        clock.advance(7.0)

    assert len(cost._traffic._slots) <= 121


@pytest.mark.parametrize("seconds", [(-1.0, 0.0), (0.0, -1.0), (NAN, 0.0), (0.0, NAN), (INF, 0.0)])
def test_gpu_time_that_cannot_be_is_refused(seconds):
    cost = CostEstimator("T4")

    with pytest.raises(ValueError, match="GPU seconds must be numbers of at least 0"):
        cost.record_inference(*seconds)

    assert cost.gpu_seconds_per_request == (0.0, 0.0)


@pytest.mark.parametrize(
    ("gpu_name", "custom_rate", "rate", "source"),
    [
        ("some-new-gpu", None, 1.0, "fallback"),
        ("", None, 1.0, "fallback"),
        ("H100", 7.5, 7.5, "custom"),
        ("some-new-gpu", 7.5, 7.5, "custom"),
        ("T4", 0.0, 0.5904, "table"),
        ("T4", -1.0, 0.5904, "table"),
    ],
)
def test_rate_is_the_custom_one_if_positive_then_the_table_then_a_dollar(
    gpu_name, custom_rate, rate, source
):
    cost = CostEstimator(gpu_name, custom_rate)

    assert (cost.hourly_rate, cost.rate_source) == (rate, source)
    assert cost.gpu_name == gpu_name


@pytest.mark.parametrize("rate", [NAN, INF])
def test_custom_rate_that_is_no_number_is_refused(rate):
    with pytest.raises(ValueError, match="custom_rate must be"):
        CostEstimator("T4", custom_rate=rate)


def test_table_can_be_replaced():
    assert CostEstimator("tesla t4", prices={"T4": 9.0}).hourly_rate == 9.0
    assert CostEstimator("H100", prices={"T4": 9.0}).rate_source == "fallback"
    with pytest.raises(ValueError, match="the price of T4"):
        CostEstimator("T4", prices={"T4": NAN})
