from dataclasses import dataclass, field
from heapq import heappop, heappush

from hypothesis import given
from hypothesis import strategies as st

from octomil.control.fair_line import FairLine
from support.manual_clock import ManualClock

SLOTS = 4


def begun(line: FairLine[str]) -> list[str]:
    """All that begins now."""
    found = []
    while (each := line.begin()) is not None:
        found.append(each[1])
    return found


def line_of(*works: str) -> FairLine[str]:
    """A line in which work waits, each named for its owner and a number."""
    line = FairLine[str](SLOTS, most_waiting=100)
    for work in works:
        assert line.add(work[0], work)
    return line


def test_the_last_slot_is_kept_for_somebody_else():
    line = line_of("a1", "a2", "a3", "a4", "a5")

    assert begun(line) == ["a1", "a2", "a3"]
    assert line.add("b", "b1")
    assert begun(line) == ["b1"]


def test_who_has_the_fewest_slots_is_next_and_of_those_who_came_first():
    line = line_of("a1", "a2", "a3", "a4", "b1", "b2", "c1")

    assert begun(line) == ["a1", "b1", "c1", "a2"]
    line.end("a")
    line.end("b")
    assert begun(line) == ["b2", "a3"]


def test_those_who_wait_take_turns_whoever_comes_later():
    line = line_of("a1", "b1", "c1", "d1", "e1", "e2", "f1")

    assert begun(line) == ["a1", "b1", "c1", "d1"]
    assert line.add("a", "a2")
    line.end("a")
    assert begun(line) == ["e1"]
    line.end("b")
    assert begun(line) == ["f1"]
    line.end("c")
    assert begun(line) == ["a2"]


def test_one_slot_serves_everybody_in_turn():
    line = FairLine[str](1, most_waiting=2)
    assert [line.add("a", "a1"), line.add("a", "a2"), line.add("b", "b1")] == [True] * 3

    order = []
    for owner in ("a", "b", "a"):
        order += begun(line)
        line.end(owner)

    assert order == ["a1", "b1", "a2"]


def test_too_much_of_one_owner_s_is_not_taken():
    line = FairLine[str](SLOTS, most_waiting=2)

    assert [line.add("a", f"a{n}") for n in range(3)] == [True, True, False]
    assert line.add("b", "b1")


def test_what_nobody_wants_any_more_is_not_begun():
    line = line_of("a1", "a2", "b1")

    line.drop("a", "a1")
    line.drop("b", "b1")
    line.drop("b", "b1")

    assert begun(line) == ["a2"]
    assert line.clear() == []


def test_all_that_waits_can_be_had_back():
    line = line_of("a1", "a2", "a3", "a4", "b1", "b2")

    assert begun(line) == ["a1", "b1", "a2", "b2"]
    assert line.clear() == ["a3", "a4"]
    assert begun(line) == []


@dataclass
class _Day:
    """Work that comes and takes its time, by a clock that goes from one event to the next."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(0.0))
    line: FairLine[tuple[str, float]] = field(default_factory=lambda: FairLine(SLOTS, 10_000))
    began_s: list[tuple[str, float]] = field(default_factory=list)

    def run(self, coming: list[tuple[float, str, float]]) -> None:
        """Let work come at a second, of an owner, that takes so many seconds."""
        events = [(at_s, number, "comes", owner, takes_s)
                  for number, (at_s, owner, takes_s) in enumerate(sorted(coming))]  # fmt: skip
        while events:
            at_s, _, what, owner, takes_s = heappop(events)
            self.clock.advance(at_s - self.clock())
            if what == "comes":
                assert self.line.add(owner, (owner, takes_s))
            else:
                self.line.end(owner)
            while (begun := self.line.begin()) is not None:
                owner, (_, takes_s) = begun
                self.began_s.append((owner, self.clock()))
                number = len(coming) + len(self.began_s)
                heappush(events, (self.clock() + takes_s, number, "ends", owner, takes_s))


def test_beside_one_who_sends_a_hundred_files_of_ten_minutes_nobody_else_waits():
    day = _Day()

    day.run([(0.0, "many", 600.0)] * 100 + [(at_s, "few", 30.0) for at_s in (5.0, 700.0, 4000.0)])

    assert [at_s for owner, at_s in day.began_s if owner == "few"] == [5.0, 700.0, 4000.0]
    assert len(day.began_s) == 103


_WORK = st.tuples(
    st.integers(0, 50).map(float), st.sampled_from("abcdef"), st.integers(1, 20).map(float)
)


@given(st.lists(_WORK, max_size=40))
def test_everything_is_begun_and_never_more_than_there_are_slots(coming):
    day = _Day()

    day.run(coming)

    assert sorted(owner for owner, _ in day.began_s) == sorted(owner for _, owner, _ in coming)
    assert day.line.begin() is None
    assert day.line._under_way.total() == 0
    assert day.line._waiting == {}
