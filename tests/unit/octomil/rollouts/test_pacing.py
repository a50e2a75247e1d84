"""How offers are spread inside a step."""

from octomil.rollouts.pacing import first_offer, next_offer, offered_devices
from octomil.rollouts.plan import Pacing
from octomil.rollouts.states import Progress

PACING = Pacing()


def offers(pacing: Pacing, base: float, percentage: float) -> list[float]:
    """All offers of a step."""
    found = [first_offer(pacing, base, percentage)]
    while found[-1] < percentage:
        progress = Progress(
            base_percentage=base, percentage=percentage, offered_percentage=found[-1]
        )
        found.append(next_offer(pacing, progress))
    return found


def test_a_step_begins_with_one_percent_of_the_fleet_and_doubles():
    assert offers(PACING, 0, 10) == [1, 3, 7, 10]
    assert offers(PACING, 10, 20) == [11, 13, 17, 20]
    assert offers(PACING, 0, 100) == [1, 3, 7, 15, 31, 63, 100]


def test_a_small_step_is_one_wave():
    assert offers(PACING, 0, 0.5) == [0.5]
    assert offers(PACING, 99.5, 100) == [100]


def test_without_growth_all_waves_are_alike():
    assert offers(Pacing(first_percentage=2, growth=1), 0, 7) == [2, 4, 6, 7]


def test_an_offer_that_was_set_by_hand_goes_on_from_there():
    progress = Progress(base_percentage=0, percentage=10, offered_percentage=2)

    assert next_offer(PACING, progress) == 4


def test_nothing_is_taken_back_by_a_wave():
    progress = Progress(base_percentage=0, percentage=5, offered_percentage=8)

    assert next_offer(PACING, progress) == 8


def test_the_devices_of_a_step_are_those_it_added():
    progress = Progress(base_percentage=10, percentage=20, offered_percentage=11)

    assert offered_devices(progress, 100_000) == 1_000
    assert offered_devices(progress, 50) == 0
