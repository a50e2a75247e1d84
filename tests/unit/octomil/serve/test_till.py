from datetime import UTC, datetime

import pytest

from octomil.engines.base import Usage
from octomil.errors import SpendCapReachedError
from octomil.routing.prices import FREE, Price
from octomil.serve.spending import SpendCap, SpendLedger
from octomil.serve.till import Till

BODY = {"messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 100}
PAID = Price(1000, 2000)  # a thousandth and two thousandths of a dollar a token


@pytest.fixture
def cap(tmp_path):
    cap = SpendCap(1.0, SpendLedger(tmp_path / "ledger.sqlite3"), now=lambda: datetime.now(UTC))
    yield cap
    cap.close()


def test_tokens_cost_what_the_model_s_price_says():
    with Till({"paid": PAID}).open("paid", BODY) as bill:
        assert bill.charge(Usage(10, 5)) == pytest.approx(0.02)


@pytest.mark.parametrize(("name", "cost"), [("free", 0.0), ("unknown", None)])
def test_models_without_a_price(name, cost):
    with Till({"free": FREE}).open(name, BODY) as bill:
        assert bill.charge(Usage(10, 5)) == cost


def test_prompt_of_an_answer_given_up_is_estimated():
    till = Till({"paid": PAID})
    with till.open("paid", BODY) as bill:
        cut = bill.charge(Usage(0, 5), is_cut=True)
    with till.open("paid", BODY) as bill:
        failed = bill.charge(Usage())

    assert 0.1 <= cut - 0.01 <= 0.12
    assert failed == 0


def test_what_a_try_may_cost_is_set_aside_until_it_is_known(cap):
    till = Till({"paid": PAID}, cap)
    with till.open("paid", BODY) as bill:
        assert not cap.has_room(0.7)
        bill.charge(Usage(10, 5))

    assert cap.spent_today_usd() == pytest.approx(0.02)
    assert cap.has_room(0.97)


def test_a_try_that_breaks_off_before_anything_was_used_costs_nothing(cap):
    with pytest.raises(ZeroDivisionError), Till({"paid": PAID}, cap).open("paid", BODY):
        raise ZeroDivisionError

    assert cap.spent_today_usd() == 0
    assert cap.has_room(1.0)


def test_what_may_cost_too_much_is_not_tried(cap):
    till = Till({"paid": PAID}, cap)
    greedy = BODY | {"max_tokens": 1000}

    assert (till.can_afford("paid", BODY), till.can_afford("paid", greedy)) == (True, False)
    with pytest.raises(SpendCapReachedError), till.open("paid", greedy):
        pass


def test_a_request_without_a_limit_may_be_long(cap):
    assert not Till({"paid": PAID}, cap).can_afford("paid", {"messages": []})


def test_every_choice_costs(cap):
    assert not Till({"paid": PAID}, cap).can_afford("paid", BODY | {"n": 5})


def test_a_ledger_that_cannot_be_read_affords_nothing_but_what_is_free(cap):
    till = Till({"free": FREE, "paid": PAID}, cap)
    cap._ledger._database.execute("DROP TABLE spent")

    assert (till.can_afford("paid", BODY), till.can_afford("free", BODY)) == (False, True)


def test_free_and_unpriced_models_need_no_room(cap):
    till = Till({"free": FREE, "paid": PAID}, cap)
    cap.reserve(1.0)

    for name in ("free", "unknown"):
        assert till.can_afford(name, BODY)
        with till.open(name, BODY) as bill:
            bill.charge(Usage(10, 5))
    assert cap.spent_today_usd() == 0
