import threading

from epochly.inference.breaker import BreakerPolicy, CircuitBreaker
from support.manual_clock import ManualClock


def test_threads_cannot_get_more_probes_than_there_are():
    clock = ManualClock()
    policy = BreakerPolicy(half_open_probes=5, recovery_timeout_s=10, jitter=0)
    breaker = CircuitBreaker("model", policy, clock=clock)
    breaker.trip("wrong answer")
    clock.advance(10)
    barrier = threading.Barrier(16)
    admitted = []

    def rush() -> None:
        barrier.wait()
        admitted.extend(permit for _ in range(200) if (permit := breaker.allow()))

    threads = [threading.Thread(target=rush) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 5
    assert breaker.snapshot().rejected_total == 16 * 200 - 5


def test_concurrent_outcomes_are_all_counted():
    policy = BreakerPolicy(failure_threshold=None, failure_rate=None, window_calls=40_000)
    breaker = CircuitBreaker("m", policy)

    def work(number: int) -> None:
        for turn in range(2_000):
            permit = breaker.allow()
            if (number + turn) % 4:
                breaker.record_success(permit)
            else:
                breaker.record_failure(permit)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    snapshot = breaker.snapshot()
    assert (snapshot.window_calls, snapshot.window_failures) == (8_000, 2_000)
