"""Of a flood of refused keys the first are listed, and the others are counted."""

from octomil.serve.refusals import Refusals
from support.manual_clock import ManualClock


def test_the_first_of_a_period_are_listed():
    refusals = Refusals(limit=3, period_s=60, clock=ManualClock())

    assert [refusals.lists() for _ in range(5)] == [True] * 3 + [False] * 2


def test_the_others_are_told_once_when_their_period_is_over():
    clock = ManualClock()
    refusals = Refusals(limit=3, period_s=60, clock=clock)
    for _ in range(5):
        refusals.lists()

    assert refusals.take_unlisted() == 0
    clock.advance(60)
    assert (refusals.take_unlisted(), refusals.take_unlisted()) == (2, 0)
    assert refusals.lists()


def test_at_the_end_nothing_waits_for_its_period():
    refusals = Refusals(limit=1, period_s=60, clock=ManualClock())
    for _ in range(3):
        refusals.lists()

    assert refusals.take_unlisted(is_end=True) == 2


def test_a_period_begins_with_its_first_refusal():
    clock = ManualClock()
    refusals = Refusals(limit=1, period_s=60, clock=clock)
    clock.advance(1000)
    refusals.lists()
    clock.advance(59)
    assert not refusals.lists()
    clock.advance(1)
    assert refusals.lists()


def test_what_one_period_left_over_is_kept_until_it_is_told():
    clock = ManualClock()
    refusals = Refusals(limit=1, period_s=60, clock=clock)
    for _ in range(2):
        refusals.lists()
        refusals.lists()
        clock.advance(60)

    assert refusals.take_unlisted() == 2
