import pytest

from octomil.routing.logged import LoggedRequest
from octomil.routing.prices import Price
from octomil.routing.replay import replay
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers

HARD = "hard"


def router(*names):
    """Routes a message that says `hard` to the last model, and others to the first."""
    return QueryRouter(
        assign_tiers(names or ["small", "large"]),
        scorer=lambda messages: float(HARD in messages[-1]["content"]),
    )


def logged(text, completion_tokens=10, *, wishes=None, **scores):
    return talked(user(text), completion_tokens=completion_tokens, wishes=wishes, **scores)


def talked(*messages, completion_tokens=10, wishes=None, **scores):
    return LoggedRequest.from_record(
        {
            "messages": list(messages),
            "usage": {"prompt_tokens": 100, "completion_tokens": completion_tokens},
            "scores": scores,
            **(wishes or {}),
        }
    )


def user(text):
    return {"role": "user", "content": text}


def counts_of(*requests, names=("small", "large")):
    """Count requests, tokens read and tokens written by model, as far as there are any."""
    return {
        name: (share.requests, share.prompt_tokens, share.completion_tokens)
        for name, share in replay(requests, router(*names)).shares.items()
        if share.prompt_tokens
    }


def test_requests_and_tokens_are_counted_where_they_would_have_gone():
    found = replay([logged("easy"), logged("easy", 30), logged(HARD, 50), logged("2+2")], router())

    counts = {
        name: (share.requests, share.prompt_tokens, share.completion_tokens)
        for name, share in found.shares.items()
    }
    assert counts == {"tier0": (1, 100, 10), "small": (2, 200, 40), "large": (1, 100, 50)}
    assert (found.total.requests, found.total.completion_tokens) == (4, 100)


def test_savings_compare_with_everything_on_the_largest_model():
    prices = {"small": Price(0, 0), "large": Price(1, 2)}
    found = replay([logged("easy"), logged(HARD), logged("2+2"), logged("easy")], router())

    saved = found.saved(lambda name, *tokens: prices[name].cost_usd(*tokens))

    assert saved == pytest.approx(0.75)


def test_nothing_is_saved_where_everything_is_free():
    assert replay([logged("easy")], router()).saved(lambda *_: 0.0) is None


def test_quality_is_the_mean_score_where_requests_would_have_gone():
    found = replay(
        [
            logged("easy", small=1, large=1),
            logged("easy", small=0, large=1),
            logged(HARD, small=0, large=1),
            logged("2+2", small=0, large=1),
            logged("easy"),
        ],
        router(),
    )

    quality = found.quality
    assert quality.requests == 4
    assert (quality.routed, quality.smallest, quality.largest) == (0.75, 0.25, 1.0)
    assert quality.gap_recovered == pytest.approx(2 / 3)


def test_the_weak_and_the_strong_model_are_the_first_and_the_last():
    request = LoggedRequest.from_record({"prompt": HARD, "weak": 0, "strong": 1})

    assert replay([request], router("a", "b", "c")).quality.routed == 1.0


def test_requests_that_only_some_models_were_scored_on_are_left_out():
    found = replay([logged("easy", small=1), logged("easy", other=1)], router())

    assert found.quality is None


def test_a_score_missing_where_a_request_went_leaves_quality_unknown():
    middle = QueryRouter(assign_tiers(["small", "middle", "large"]), scorer=lambda _: 0.5)

    assert replay([logged("any", small=0, large=1)], middle).quality is None
    assert replay([logged("any", small=0, middle=1, large=1)], middle).quality.routed == 1


def test_no_gap_recovers_nothing():
    quality = replay([logged("easy", small=1, large=1)], router()).quality

    assert quality.gap_recovered is None


def test_requests_without_counted_tokens_are_told():
    found = replay([LoggedRequest.from_record({"prompt": "Hi"}), logged("easy")], router())

    assert found.without_usage == 1


TASKS = "Explain hard gravity. What is the capital of Peru? Also, calculate 3 + 4."


@pytest.mark.parametrize(
    "wishes",
    [
        {"tools": [{"type": "function", "function": {"name": "add"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"logprobs": True},
        {"stop": "END"},
        {"functions": [{"name": "add"}]},
    ],
    ids=lambda wishes: next(iter(wishes)),
)
def test_a_request_for_more_than_a_text_is_neither_exact_nor_split(wishes):
    assert counts_of(logged("2+2", wishes=wishes)) == {"small": (1, 100, 10)}
    assert counts_of(logged(TASKS, wishes=wishes)) == {"large": (1, 100, 10)}


@pytest.mark.parametrize("tokens", [5, 60])
def test_a_short_answer_is_not_split(tokens):
    wishes = {"max_tokens": tokens}

    assert counts_of(logged(TASKS, wishes=wishes)) == {"large": (1, 100, 10)}
    assert counts_of(logged("2+2", wishes=wishes)) == {"tier0": (1, 100, 10)}


def test_tasks_count_once_under_the_highest_model_and_share_the_answers_tokens():
    assert counts_of(logged(TASKS, 11)) == {"small": (0, 100, 5), "large": (1, 100, 6)}


def test_tasks_that_are_all_exact_need_no_model():
    assert counts_of(logged("Calculate 3 + 4. Then calculate 10 / 4.")) == {"tier0": (1, 100, 10)}


def test_all_that_was_asked_is_counted_once_in_total():
    total = replay([logged(TASKS, 11)], router()).total

    assert (total.requests, total.prompt_tokens, total.completion_tokens) == (1, 100, 11)


def test_tasks_score_as_the_worst_model_at_work():
    quality = replay([logged(TASKS, small=0.25, large=1)], router()).quality

    assert quality.routed == 0.25


def test_a_follow_up_stays_with_the_model_that_leads_the_conversation():
    asked = user("Write a hard parser.")
    follow_up = [asked, {"role": "assistant", "content": "class Parser"}, user("Shorter, please.")]

    assert counts_of(talked(asked), talked(*follow_up)) == {"large": (2, 200, 20)}
    assert counts_of(talked(*follow_up)) == {"small": (1, 100, 10)}
