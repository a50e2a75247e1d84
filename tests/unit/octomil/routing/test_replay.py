import pytest

from octomil.routing.prices import Price
from octomil.routing.replay import LoggedRequest, replay
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers

HARD = "hard"


def router(*names):
    """Routes a message that says `hard` to the last model, and others to the first."""
    return QueryRouter(
        assign_tiers(names or ["small", "large"]),
        scorer=lambda messages: float(HARD in messages[-1]["content"]),
    )


def logged(text, completion_tokens=10, **scores):
    return LoggedRequest.from_record(
        {
            "messages": [{"role": "user", "content": text}],
            "usage": {"prompt_tokens": 100, "completion_tokens": completion_tokens},
            "scores": scores,
        }
    )


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "Hi"}],
         "usage": {"prompt_tokens": 3, "completion_tokens": 7}},
        {"prompt": "Hi", "usage": {"prompt_tokens": 3, "completion_tokens": 7}},
        {"body": {"messages": [{"role": "user", "content": "Hi"}]},
         "response": {"body": {"usage": {"prompt_tokens": 3, "completion_tokens": 7}}}},
        {"request": {"messages": [{"role": "user", "content": "Hi"}]},
         "response": {"usage": {"prompt_tokens": 3, "completion_tokens": 7}}},
    ],
    ids=["request", "prompt", "batch", "gateway"],
)  # fmt: skip
def test_a_request_is_read_however_it_was_logged(record):
    assert LoggedRequest.from_record(record) == LoggedRequest(
        [{"role": "user", "content": "Hi"}], 3, 7
    )


def test_tokens_are_estimated_where_nobody_counted():
    request = LoggedRequest.from_record({"prompt": "x" * 41})

    assert (request.prompt_tokens, request.completion_tokens) == (11, None)


def test_rows_of_calibration_are_read():
    request = LoggedRequest.from_record({"prompt": "Hi", "weak": 0, "strong": 1})

    assert request.scores == {"weak": 0.0, "strong": 1.0}


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ([], "expected an object"),
        ({}, 'no "messages" and no "prompt"'),
        ({"prompt": "  "}, 'no "messages" and no "prompt"'),
        ({"messages": []}, 'no "messages"'),
        ({"messages": ["Hi"]}, "a list of objects"),
        ({"prompt": "Hi", "usage": 3}, '"usage" must be an object'),
        ({"prompt": "Hi", "usage": {"prompt_tokens": -1}}, '"prompt_tokens" must be a count'),
        ({"prompt": "Hi", "usage": {"completion_tokens": True}}, "must be a count, got True"),
        ({"prompt": "Hi", "scores": [1]}, '"scores" must be an object'),
        ({"prompt": "Hi", "scores": {"a": 2}}, "'a' must be between 0 and 1, got 2"),
        ({"prompt": "Hi", "weak": "x"}, "'weak' must be between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(record, complaint):
    with pytest.raises(ValueError, match=complaint):
        LoggedRequest.from_record(record)


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
