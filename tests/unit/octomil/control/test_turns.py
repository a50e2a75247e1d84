import threading

from octomil.control.turns import Turns


def test_of_two_at_one_name_the_second_waits_for_the_first():
    turns, told = Turns(), []

    def second() -> None:
        with turns.of("a"):
            told.append("second")

    waiting = threading.Thread(target=second)
    with turns.of("a"):
        waiting.start()
        waiting.join(0.1)  # one that did not wait would be through by then
        told.append("first")
        with turns.of("b"):
            assert turns.is_taken("b")
    waiting.join()

    assert told == ["first", "second"]


def test_a_name_that_nobody_is_at_is_forgotten():
    turns = Turns()
    with turns.of("a"):
        assert turns.is_taken("a")
        assert not turns.is_taken("b")

    assert not turns.is_taken("a")
