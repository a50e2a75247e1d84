"""When a device tries again what went wrong."""

from octomil.device.failures import Failures


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def patience_s(failures: Failures, clock: Clock, key: str, longest_s: float) -> float:
    """Fail once, and return for how many whole seconds nothing is tried."""
    failures.note(key, longest_s)
    waited_s = 0
    while not failures.is_due(key):
        clock.now_s += 1.0
        waited_s += 1
    return waited_s


def test_patience_doubles_up_to_what_the_last_failure_allows_and_begins_anew_once_it_worked():
    clock = Clock()
    failures = Failures(2.0, clock)

    waits = [patience_s(failures, clock, "a", longest_s=20.0) for _ in range(5)]
    outside = patience_s(failures, clock, "a", longest_s=6.0)
    failures.forget("a", "b")

    assert (waits, outside) == ([4, 8, 16, 20, 20], 6)
    assert patience_s(failures, clock, "a", longest_s=20.0) == 4


def test_failures_are_counted_by_themselves():
    failures = Failures(2.0, Clock())
    failures.note("a", 60.0)

    assert (failures.is_due("a"), failures.is_due("b")) == (False, True)


def test_what_nobody_tries_any_more_is_forgotten():
    clock = Clock()
    failures = Failures(2.0, clock)
    for number in range(100):
        failures.note(str(number), 60.0)
    clock.now_s += 7200.0
    failures.note("a", 60.0)

    assert list(failures._failures) == ["a"]
