from octomil.engines.base import Usage
from octomil.serve.observation import Observation


def test_next_model_s_times_are_its_own():
    seen = Observation()
    seen.turn_to("small")
    seen.timing.begin(10.0, tokens=3)
    seen.usage = Usage(3, 5)

    seen.turn_to("large")

    assert (seen.timing.first_at, seen.timing.last_at, seen.timing.first_tokens) == (None, None, 1)


def test_wait_for_each_model_s_turn_is_kept_with_its_model():
    seen = Observation()
    for model, wait_s in (("small", 2.0), ("large", 0.5), ("small", 1.0)):
        seen.turn_to(model)
        seen.waited(wait_s)

    assert seen.waits == [("small", 2.0), ("large", 0.5), ("small", 1.0)]
