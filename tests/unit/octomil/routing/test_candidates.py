from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.routing.candidates import Candidates
from octomil.routing.router import QueryRouter, RoutingDecision
from octomil.routing.tiers import assign_tiers

MODELS = ["small", "middle", "large"]


def candidates(*, score=0.0, doubting=True, models=MODELS):
    router = QueryRouter(assign_tiers(models), scorer=lambda _: score)
    decision = router.route([{"role": "user", "content": "Hi"}])
    return Candidates(decision, models, doubting=doubting)


def test_models_that_fail_are_followed_upwards_then_downwards():
    assert list(candidates(score=0.5)) == ["middle", "large", "small"]


def test_doubt_leads_upwards():
    found = candidates()

    assert (next(found), found.may_doubt) == ("small", True)
    found.doubt()
    assert (next(found), found.may_doubt) == ("middle", True)
    found.doubt()
    assert (next(found), found.may_doubt) == ("large", False)
    assert found.doubted == ["small", "middle"]


@pytest.mark.parametrize("score", [0.5, 1.0])
def test_the_strongest_model_is_never_doubted_though_weaker_ones_are_left(score):
    found = candidates(score=score, models=["small", "large"])

    assert (next(found), found.may_doubt, found.is_last) == ("large", False, False)


def test_the_unsure_model_is_believed_when_all_the_stronger_ones_fail():
    found = candidates(score=0.5)
    next(found)
    found.doubt()

    assert next(found) == "large"
    assert (next(found), found.may_doubt) == ("middle", False)
    assert (next(found), found.may_doubt, found.is_last) == ("small", False, True)


def test_nobody_is_doubted_unless_asked_for():
    found = candidates(doubting=False)

    assert next(found) == "small"
    assert not found.may_doubt


def test_a_stand_in_below_a_failed_model_is_not_doubted():
    found = candidates(score=1.0)

    assert (next(found), next(found), found.may_doubt) == ("large", "middle", False)


def test_an_unsure_answer_is_the_best_there_is_where_no_stronger_model_can_be_asked():
    decision = RoutingDecision("middle", 0.5, "balanced", ("large", "small"))
    found = Candidates(decision, MODELS, doubting=True, can_be_asked=lambda name: name == "small")
    next(found)

    assert not found.may_doubt


def test_the_unsure_model_comes_after_all_stronger_and_before_all_weaker_ones():
    decision = RoutingDecision("b", 0.4, "balanced", ("c", "d", "a"))
    found = Candidates(decision, ["a", "b", "c", "d"], doubting=True)
    next(found)
    found.doubt()

    assert list(found) == ["c", "d", "b", "a"]


def test_models_of_unknown_rank_are_no_stronger_than_one_another():
    found = Candidates(RoutingDecision("x", 0.5, "balanced", ("y",)), MODELS, doubting=True)

    assert (next(found), found.may_doubt, found.is_last) == ("x", False, False)
    assert (next(found), found.is_last) == ("y", True)
    with pytest.raises(StopIteration):
        next(found)


def test_any_model_is_stronger_than_one_of_unknown_rank():
    found = Candidates(RoutingDecision("x", 0.5, "balanced", ("small",)), MODELS, doubting=True)
    next(found)

    assert found.may_doubt


@given(st.integers(1, 6), st.floats(0, 1), st.lists(st.booleans(), max_size=20))
def test_every_model_is_asked_and_it_ends(count, score, unsure):
    names = [f"model {number}" for number in range(count)]
    found = candidates(score=score, models=names)
    asked = []
    for name, is_unsure in zip(found, [*unsure, *[False] * 20], strict=False):
        asked.append(name)
        if is_unsure and found.may_doubt:
            found.doubt()

    assert not list(islice(found, 1))
    assert set(asked) == set(names)
    assert len(asked) == count + len(found.doubted)
    for name in found.doubted:
        first = asked.index(name)
        assert names.index(asked[first + 1]) > names.index(name)
