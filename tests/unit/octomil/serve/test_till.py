from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.engines.base import Usage
from octomil.errors import EngineUnavailableError, SpendCapReachedError
from octomil.routing.prices import FREE, Price
from octomil.serve.spend_ledger import SpendLedger
from octomil.serve.spending import SpendCap
from octomil.serve.till import Till

BODY = {"messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 100}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # no day ends while a test runs
PAID = Price(1000, 2000)  # a thousandth and two thousandths of a dollar a token


@pytest.fixture
def cap(tmp_path):
    cap = SpendCap(1.0, SpendLedger(tmp_path / "ledger.sqlite3"), now=lambda: NOON)
    yield cap
    cap.close()


async def test_tokens_cost_what_the_model_s_price_says():
    async with Till({"paid": PAID}).open("paid", BODY) as bill:
        assert bill.charge(Usage(10, 5)) == pytest.approx(0.02)


@pytest.mark.parametrize(("name", "cost"), [("free", 0.0), ("unknown", None)])
async def test_models_without_a_price(name, cost):
    async with Till({"free": FREE}).open(name, BODY) as bill:
        assert bill.charge(Usage(10, 5)) == cost


async def test_prompt_of_an_answer_given_up_is_estimated():
    till = Till({"paid": PAID})
    async with till.open("paid", BODY) as bill:
        cut = bill.charge(Usage(0, 5), is_cut=True)

    assert 0.1 <= cut - 0.01 <= 0.12


@pytest.mark.parametrize(("name", "is_estimated"), [("paid", True), ("free", False), ("?", False)])
async def test_prompt_that_nobody_counted_is_estimated_where_it_costs(name, is_estimated):
    usage = Usage(0, 5)
    async with Till({"paid": PAID, "free": Price(0, 0)}).open(name, BODY) as bill:
        bill.charge(usage)

    assert (usage.prompt_tokens > 0) == is_estimated
    assert usage.completion_tokens == 5


async def test_what_a_try_may_cost_is_set_aside_until_it_is_known(cap):
    till = Till({"paid": PAID}, cap)
    async with till.open("paid", BODY) as bill:
        assert not cap.has_room(0.7)
        bill.charge(Usage(10, 5))

    assert await cap.spent_today_usd() == pytest.approx(0.02)
    assert cap.has_room(0.97)


async def test_a_try_that_breaks_off_before_anything_was_used_costs_nothing(cap):
    with pytest.raises(ZeroDivisionError):
        async with Till({"paid": PAID}, cap).open("paid", BODY):
            raise ZeroDivisionError

    assert await cap.spent_today_usd() == 0
    assert cap.has_room(1.0)


async def test_what_may_cost_too_much_is_not_tried(cap):
    till = Till({"paid": PAID}, cap)
    greedy = BODY | {"max_tokens": 1000}

    assert (till.can_afford("paid", BODY), till.can_afford("paid", greedy)) == (True, False)
    with pytest.raises(SpendCapReachedError):
        await till.open("paid", greedy).__aenter__()


def test_a_request_without_a_limit_may_be_long(cap):
    assert not Till({"paid": PAID}, cap).can_afford("paid", {"messages": []})


def test_every_choice_costs(cap):
    assert not Till({"paid": PAID}, cap).can_afford("paid", BODY | {"n": 5})


async def test_a_ledger_that_cannot_be_read_affords_nothing_but_what_is_free(cap):
    till = Till({"free": FREE, "paid": PAID}, cap)
    cap._ledger._database.execute("DROP TABLE spent")
    with pytest.raises(EngineUnavailableError):
        await till.open("paid", BODY).__aenter__()

    assert (till.can_afford("paid", BODY), till.can_afford("free", BODY)) == (False, True)


async def test_free_and_unpriced_models_need_no_room(cap):
    till = Till({"free": FREE, "paid": PAID}, cap)
    await cap.reserve(1.0)

    for name in ("free", "unknown"):
        assert till.can_afford(name, BODY)
        async with till.open(name, BODY) as bill:
            bill.charge(Usage(10, 5))
    assert await cap.spent_today_usd() == 0


@pytest.mark.parametrize(
    ("name", "more", "limit"),
    [
        ("paid", {}, None),
        ("paid", {"max_tokens": None}, 4096),
        ("free", {"max_tokens": None}, None),
        ("nothing", {"max_tokens": None}, None),
        ("unknown", {"max_tokens": None}, None),
    ],
)
async def test_model_is_told_to_stop_where_the_cap_counts_on_it(cap, name, more, limit):
    prices = {"free": FREE, "nothing": Price(0, 0), "paid": Price(1, 2)}
    async with Till(prices, cap).open(name, BODY | more) as bill:
        assert bill.limit == limit


async def test_nobody_is_told_to_stop_without_a_cap():
    async with Till({"paid": PAID}).open("paid", {"messages": []}) as bill:
        assert bill.limit is None


async def test_a_try_that_outlasts_the_day_is_settled_on_the_day_it_began(tmp_path):
    now = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    ledger = SpendLedger(tmp_path / "ledger.sqlite3")
    cap = SpendCap(1.0, ledger, now=lambda: now)
    try:
        async with Till({"paid": PAID}, cap).open("paid", BODY) as bill:
            now += timedelta(minutes=2)
            tomorrow = await cap.reserve(0.6)
            bill.charge(Usage(100, 100))

        assert await cap.spent_today_usd() == 0
        assert ledger.spent_usd("2026-03-01") == pytest.approx(0.3)
        assert (cap.has_room(0.4), cap.has_room(0.41)) == (True, False)
        cap.settle(tomorrow, 0.0)
        assert cap.has_room(1.0)
    finally:
        cap.close()


TEXTS = st.text(max_size=30) | st.text("aé中ﷺ ", max_size=20)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "prompt": TEXTS | st.lists(TEXTS, min_size=1, max_size=3),
        "messages": st.lists(
            st.builds(lambda t: {"role": "user", "content": t}, TEXTS), max_size=3
        ),
        "max_tokens": st.none() | st.integers(1, 300),
        "max_completion_tokens": st.none() | st.integers(1, 300),
        "n": st.none() | st.integers(1, 4),
        "best_of": st.none() | st.integers(1, 4),
    },
)


def dearest(body: dict[str, Any]) -> Usage:
    """What a vendor counts at most: a token a byte, and every answer as long as it may be."""
    prompts = body.get("prompt") or ""
    prompts = [prompts] if isinstance(prompts, str) else prompts
    texts = [*prompts, *(message["content"] for message in body.get("messages", ()))]
    limits = [body[name] for name in ("max_tokens", "max_completion_tokens") if body.get(name)]
    answers = max(body.get("n") or 1, body.get("best_of") or 1) * max(1, len(prompts))
    return Usage(
        sum(len(normalize("NFKD", text).encode()) + 8 for text in texts),
        max(limits, default=4096) * answers,
    )


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(st.tuples(BODIES, st.booleans()), max_size=5))
async def test_nothing_beyond_the_cap_is_ever_spent(tmp_path_factory, asked):
    ledger = SpendLedger(tmp_path_factory.mktemp("till") / "ledger.sqlite3")
    cap = SpendCap(2.0, ledger)
    till = Till({"paid": PAID}, cap)
    try:
        async with AsyncExitStack() as at_once:
            for body, is_slow in asked:
                try:
                    async with AsyncExitStack() as one:
                        stack = at_once if is_slow else one
                        bill = await stack.enter_async_context(till.open("paid", body))
                        bill.charge(dearest(body))
                except SpendCapReachedError:
                    assert not till.can_afford("paid", body)

        assert await cap.spent_today_usd() <= 2.0 + 1e-9
    finally:
        cap.close()
