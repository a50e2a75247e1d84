"""What a circuit breaker costs a call that goes well; the peers are pybreaker and purgatory."""

import sys
from pathlib import Path

from bench.cpu import load_core, on_cores, usable_cores
from bench.peers import peer_python
from bench.programs import cpu_us
from bench.report import Budget, Row, compare

COVERS = ("epochly/inference/breaker",)

_PEERS = ("pybreaker==1.4.1", "purgatory==3.0.1")
_PAIR = """
from epochly.inference.breaker import CircuitBreaker
breaker = CircuitBreaker("bench")
def run(calls):
    for _ in range(calls):
        breaker.record_success(breaker.allow())
"""
_PAIR_FLOOR = """
class Nothing:
    def allow(self):
        return self
    def record_success(self, permit):
        pass
nothing = Nothing()
def run(calls):
    for _ in range(calls):
        nothing.record_success(nothing.allow())
"""
_FAILURE = """
from epochly.inference.breaker import BreakerPolicy, CircuitBreaker
breaker = CircuitBreaker("bench", BreakerPolicy(failure_threshold=90, failure_rate=0.9))
def run(calls):
    for _ in range(calls // 2):
        breaker.record_failure(breaker.allow())
        breaker.record_success(breaker.allow())
"""
_CALL = """
from epochly.inference.breaker import CircuitBreaker
breaker = CircuitBreaker("bench")
def work():
    return 1
def run(calls):
    for _ in range(calls):
        breaker.call(work)
"""
_PYBREAKER = _CALL.replace(
    "from epochly.inference.breaker import CircuitBreaker", "from pybreaker import CircuitBreaker"
).replace('CircuitBreaker("bench")', "CircuitBreaker(fail_max=5)")
_CALL_FLOOR = """
def work():
    return 1
def run(calls):
    for _ in range(calls):
        work()
"""
_ASYNC = """
import asyncio
from epochly.inference.breaker import CircuitBreaker
breaker = CircuitBreaker("bench")
async def work(calls):
    for _ in range(calls):
        async with breaker.guard():
            pass
def run(calls):
    asyncio.run(work(calls))
"""
_PURGATORY = """
import asyncio
from purgatory import AsyncCircuitBreakerFactory
async def work(calls):
    breaker = await AsyncCircuitBreakerFactory(default_threshold=5).get_breaker("bench")
    for _ in range(calls):
        async with breaker:
            pass
def run(calls):
    asyncio.run(work(calls))
"""


def run(quick: bool) -> list[Row]:
    """Measure alternately, each program in an interpreter of its own."""
    repeats, calls = (3, 20_000) if quick else (11, 300_000)
    ours, peer = Path(sys.executable), peer_python("breakers", *_PEERS)
    note = "CPU per call that succeeds; the floor does nothing"
    with on_cores(load_core(usable_cores())):
        pair = cpu_us({"ours": (ours, _PAIR), "floor": (ours, _PAIR_FLOOR)}, repeats, calls)
        failure = cpu_us({"ours": (ours, _FAILURE)}, repeats, calls)
        call = cpu_us(
            {"ours": (ours, _CALL), "peer": (peer, _PYBREAKER), "floor": (ours, _CALL_FLOOR)},
            repeats,
            calls,
        )
        entry = cpu_us({"ours": (ours, _ASYNC), "peer": (peer, _PURGATORY)}, repeats, calls)
    budget = Budget("ours", "at most", 0.5)
    return [
        compare("allow and record_success", "µs", pair, budget=budget, note=note),
        compare("allow and record, every second a failure", "µs", failure),
        compare("call(function)", "µs", call, budget=budget, note=f"peer: {_PEERS[0]}"),
        compare("async with guard()", "µs", entry, budget=budget, note=f"peer: {_PEERS[1]}"),
    ]
