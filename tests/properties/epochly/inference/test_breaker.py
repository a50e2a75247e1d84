"""Any sequence of calls, outcomes, hands and time: the breaker does what a plain model does."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from epochly.inference.breaker import BreakerPolicy, BreakerState, CircuitBreaker, Permit
from support.manual_clock import ManualClock

POLICY = BreakerPolicy(
    failure_threshold=3, failure_rate=0.5, window_calls=8, minimum_calls=6,
    recovery_timeout_s=10, max_recovery_timeout_s=40, jitter=0, half_open_probes=2,
    probe_timeout_s=5,
)  # fmt: skip


@dataclass
class Model:
    """A breaker as its documentation reads, with every outcome kept by generation."""

    now: float = 0
    state: str = "closed"
    generation: int = 0
    since: float = 0
    until: float = 0
    wait: float = 0
    reopenings: int = 0
    opened: int = 0
    rejected: int = 0
    outcomes: dict[int, list[bool]] = field(default_factory=dict)
    in_flight: dict[int, float] = field(default_factory=dict)
    passed: int = 0
    calls: int = 0

    def enter(self, state: str) -> None:
        self.state, self.since = state, self.now
        self.generation += 1
        self.in_flight, self.passed = {}, 0

    def open(self) -> None:
        if self.state == "half_open" or (
            self.state == "closed" and self.now < self.since + self.wait
        ):
            self.reopenings += 1
        elif self.state == "closed":
            self.reopenings = 0
        self.wait = min(10 * 2**self.reopenings, 40)
        self.until = self.now + self.wait
        self.opened += 1
        self.enter("open")

    def let_time_act(self) -> None:
        if self.state == "open" and self.now >= self.until:
            self.enter("half_open")
        if any(self.now >= admitted + 5 for admitted in self.in_flight.values()):
            self.open()

    def call(self) -> tuple[int, int] | None:
        """Returns the call's number and generation."""
        self.let_time_act()
        self.calls += 1
        if self.state == "half_open" and self.passed + len(self.in_flight) < 2:
            self.in_flight[self.calls] = self.now
        elif self.state not in ("closed", "disabled"):
            self.rejected += 1
            return None
        return self.calls, self.generation

    def end(self, call: tuple[int, int], is_probe: bool, failed: bool) -> None:
        number, generation = call
        self.let_time_act()
        if is_probe:
            if self.in_flight.pop(number, None) is None:
                return
            self.passed += not failed
            if failed:
                self.open()
            elif self.passed == 2:
                self.enter("closed")
            return
        self.outcomes.setdefault(generation, []).append(failed)
        if failed and generation == self.generation and self.state == "closed":
            last = self.outcomes[generation][-8:]
            if last[-3:] == [True] * 3 or (len(last) >= 6 and sum(last) >= len(last) / 2):
                self.open()

    def set(self, state: str) -> None:
        self.reopenings = self.wait = 0
        self.enter(state)


class BreakerAgainstModel(RuleBasedStateMachine):
    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(0)
        self.model = Model()
        self.breaker = CircuitBreaker("b", POLICY, clock=self.clock)
        self.transitions = 0
        self.breaker.on_transition(self.check_order)

    def check_order(self, transition) -> None:
        self.transitions += 1
        assert transition.generation == self.transitions

    @rule(seconds=st.sampled_from([0.5, 1, 4.5, 5, 10, 20, 40]))
    def pass_time(self, seconds):
        self.clock.advance(seconds)
        self.model.now += seconds

    @rule(target=permits)
    def call(self):
        permit, expected = self.breaker.allow(), self.model.call()
        assert (permit is None) == (expected is None)
        if permit is None:
            return None, None
        assert permit.generation == expected[1]
        assert permit.is_probe == (self.model.state == "half_open")
        return permit, expected

    @rule(held=consumes(permits), failed=st.booleans())
    def end(self, held, failed):
        permit, call = held
        if permit is None:
            return
        record = self.breaker.record_failure if failed else self.breaker.record_success
        record(permit)
        self.model.end(call, permit.is_probe, failed)

    @rule(held=consumes(permits))
    def release(self, held):
        permit, call = held
        if isinstance(permit, Permit):
            self.breaker.release(permit)
            self.model.in_flight.pop(call[0], None)

    @rule(failures=st.lists(st.booleans(), min_size=3, max_size=9))
    def run_calls(self, failures):
        for failed in failures:
            permit, call = self.breaker.allow(), self.model.call()
            assert (permit is None) == (call is None)
            if permit is not None:
                self.end((permit, call), failed)

    @rule()
    def trip(self):
        self.breaker.trip("test")
        self.model.let_time_act()
        if self.model.state not in ("forced_open", "disabled"):
            self.model.open()

    @rule(state=st.sampled_from(["forced_open", "disabled", "closed", "closed"]))
    def set_by_hand(self, state):
        by_hand = {
            "forced_open": self.breaker.force_open,
            "disabled": self.breaker.disable,
            "closed": self.breaker.reset,
        }
        by_hand[state]()
        self.model.set(state)

    @invariant()
    def agree(self):
        found = self.breaker.snapshot()
        model = self.model
        model.let_time_act()
        assert found.state == BreakerState(model.state)
        assert found.generation == model.generation
        assert found.state_age_s == model.now - model.since
        assert found.reopenings == model.reopenings
        assert (found.opened_total, found.rejected_total) == (model.opened, model.rejected)
        assert found.probes_in_flight == len(model.in_flight) <= 2
        if model.state in ("closed", "disabled"):
            last = model.outcomes.get(model.generation, [])[-8:]
            assert (found.window_calls, found.window_failures) == (len(last), sum(last))
        if model.state == "open":
            assert found.retry_after_s == model.until - model.now > 0


BreakerAgainstModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None
)
TestBreaker = BreakerAgainstModel.TestCase
