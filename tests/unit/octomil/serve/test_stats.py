from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from octomil.serve.stats import RoutingStats, Savings, percentages


@settings(deadline=None)
@example({"a": 1, "b": 1, "c": 1})
@example({"a": 1, "b": 10**9})
@example({f"m{i}": 1 for i in range(7)})
@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), min_size=1))
def test_percentages_add_up_to_one_hundred_and_stay_near_the_truth(counts):
    shares = percentages(counts)

    total = sum(counts.values())
    assert list(shares) == list(counts)
    assert sum(round(share * 10) for share in shares.values()) == (1000 if total else 0)
    for name, share in shares.items():
        assert share == round(share, 1)
        assert abs(share - 100 * counts[name] / max(total, 1)) < 0.1 + 1e-6


def test_documented_counts_give_the_documented_percentages():
    counts = {"tier0_deterministic": 2104, "smollm-360m": 7738}
    counts |= {"phi-4-mini": 3811, "llama-3.2-3b": 1581}

    assert list(percentages(counts).values()) == [13.8, 50.8, 25.0, 10.4]


def test_fresh_node_tells_zeros_for_every_model():
    nothing = {
        "tier0_deterministic": {"count": 0, "percentage": 0.0},
        "small": {"count": 0, "percentage": 0.0},
        "large": {"count": 0, "percentage": 0.0},
    }

    assert RoutingStats(["small", "large"]).snapshot() == {
        "total_requests": 0,
        "routing_distribution": nothing,
        "avg_routing_latency_us": 0,
        "estimated_savings": None,
        "subtasks": {"total": 0, "distribution": nothing},
        "escalations": {"total": 0, "from": {}},
    }


def test_savings_wait_for_the_speed_of_every_model_that_answered():
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("large", 10, 4.0)
    stats.count("small", 0, 10)

    assert stats.snapshot()["estimated_savings"] is None
    stats.observe_speed("small", 10, 1.0)
    assert stats.snapshot()["estimated_savings"] is not None


def test_a_loss_is_a_negative_saving():
    stats = RoutingStats(["small", "large"])
    for model in ("small", "large"):
        stats.observe_speed(model, 10, 1.0)
    stats.count("large", 0, 10)
    stats.count_dropped("small", 5)

    assert stats.snapshot()["estimated_savings"] == {
        "vs_largest_model_only": "-50% fewer compute-seconds",
        "avg_latency_reduction_ms": -500,
    }


def test_dropped_answers_are_counted_and_what_they_took_is_not_saved():
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("small", 10, 1.0)
    stats.observe_speed("large", 10, 4.0)
    stats.count("small", 0, 10)
    before = stats.snapshot()["estimated_savings"]

    stats.count_dropped("small", 20)

    after = stats.snapshot()
    assert after["escalations"] == {"total": 1, "from": {"small": 1}}
    assert after["total_requests"] == 1
    assert before == {"vs_largest_model_only": "75% fewer compute-seconds",
                      "avg_latency_reduction_ms": 3000}  # fmt: skip
    assert after["estimated_savings"] == {"vs_largest_model_only": "25% fewer compute-seconds",
                                          "avg_latency_reduction_ms": 1000}  # fmt: skip


def test_tasks_of_one_message_are_counted_apart_from_messages():
    stats = RoutingStats(["small", "large"])

    stats.count("large", 40e-6, 0)
    for model, tokens in (("small", 10), ("tier0", 0), ("large", 20)):
        stats.count_subtask(model, tokens)

    told = stats.snapshot()
    assert told["total_requests"] == 1
    assert told["routing_distribution"]["large"] == {"count": 1, "percentage": 100.0}
    assert told["subtasks"]["total"] == 3
    shares = told["subtasks"]["distribution"].values()
    assert [share["count"] for share in shares] == [1, 1, 1]
    assert round(sum(share["percentage"] for share in shares) * 10) == 1000


def test_tokens_of_tasks_count_for_the_savings():
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("small", 100, 1.0)
    stats.observe_speed("large", 100, 4.0)

    stats.count("large", 40e-6, 0)
    stats.count_subtask("small", 50)
    stats.count_subtask("large", 50)

    saved = stats.snapshot()["estimated_savings"]
    assert saved["vs_largest_model_only"] == "38% fewer compute-seconds"
    assert saved["avg_latency_reduction_ms"] == 1500


def test_requests_are_counted_where_they_went():
    stats = RoutingStats(["small", "large"])

    for model in ("tier0", "small", "small", "elsewhere"):
        stats.count(model, 40e-6, 0)

    told = stats.snapshot()
    assert told["total_requests"] == 4
    assert told["avg_routing_latency_us"] == 40
    assert {name: entry["count"] for name, entry in told["routing_distribution"].items()} == {
        "tier0_deterministic": 1,
        "small": 2,
        "large": 0,
        "elsewhere": 1,
    }


def test_savings_compare_with_the_same_answers_by_the_largest_model():
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("small", 1000, 1.0)
    stats.observe_speed("large", 1000, 4.0)

    stats.count("tier0", 0.0, 0)
    stats.count("small", 0.0, 100)
    stats.count("large", 0.0, 100)

    # 100 tokens at 1 ms and 100 at 4 ms, instead of 200 at 4 ms, over three requests.
    assert stats.snapshot()["estimated_savings"] == {
        "vs_largest_model_only": "38% fewer compute-seconds",
        "avg_latency_reduction_ms": 100,
    }


def test_savings_are_unknown_until_the_largest_model_was_seen_at_work():
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("small", 10, 1.0)
    stats.count("small", 0.0, 10)

    assert stats.snapshot()["estimated_savings"] is None


def compute_saved(*large_speeds: tuple[int, float]) -> float:
    """What one answer of the small model, a second a token, saved with such a large one."""
    stats = RoutingStats(["small", "large"])
    stats.observe_speed("small", 10, 10.0)
    for tokens, seconds in large_speeds:
        stats.observe_speed("large", tokens, seconds)
    stats.count("small", 0.0, 10)
    savings = stats.savings()
    assert savings is not None
    return savings.compute_ratio


def test_speed_is_that_of_all_tokens_and_not_of_the_average_answer():
    assert compute_saved((99, 198.0), (1, 100.0)) == pytest.approx(1 - 100 / 298)


def test_speed_follows_what_is_seen_but_not_at_once():
    slow, fast = (1000, 4000.0), (1000, 2000.0)

    assert compute_saved(slow) == pytest.approx(0.75)
    assert 0.5 < compute_saved(slow, fast) < 0.75
    assert compute_saved(slow, *[fast] * 30) == pytest.approx(0.5, abs=0.001)


def test_savings_of_the_metrics_are_those_of_the_statistics():
    stats = RoutingStats(["small", "large"])
    assert stats.savings() is None
    stats.observe_speed("small", 10, 1.0)
    stats.observe_speed("large", 10, 4.0)
    stats.count("small", 0, 10)

    assert stats.savings() == Savings(0.75, 3.0)
    assert stats.snapshot()["estimated_savings"] == {
        "vs_largest_model_only": "75% fewer compute-seconds",
        "avg_latency_reduction_ms": 3000,
    }


class Name(str):
    """A name whose every look-up lets another thread go first."""

    __slots__ = ()

    def __hash__(self) -> int:
        sleep(0)
        return super().__hash__()


def test_threads_lose_no_count():
    stats, threads, each = RoutingStats(["small", "large"]), 8, 100

    def work(_: int) -> None:
        for _ in range(each):
            stats.count(Name("small"), 1.0, 1)
            stats.count_subtask(Name("small"), 1)
            stats.count_dropped(Name("small"), 1)
            stats.observe_speed("small", 1, 1.0)
            stats.observe_speed("large", 1, 2.0)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))

    told, total = stats.snapshot(), threads * each
    assert told["total_requests"] == told["routing_distribution"]["small"]["count"] == total
    assert told["subtasks"]["total"] == told["escalations"]["total"] == total
    assert told["avg_routing_latency_us"] == 1_000_000
    # Two tokens of each request reached its client at one second each, and one did not.
    assert stats.savings() == Savings(pytest.approx(1 - 3 / 4), pytest.approx(1.0))


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1.0), (-1, 1.0), (5, 0.0), (5, -1.0)])
def test_senseless_measurements_are_left_out(tokens, seconds):
    stats = RoutingStats(["only"])
    stats.observe_speed("only", tokens, seconds)
    stats.count("only", 0.0, 10)

    assert stats.snapshot()["estimated_savings"] is None
