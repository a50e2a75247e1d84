import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.errors import ConfigurationError
from octomil.routing.prices import FREE, Price, parse_prices

AMOUNTS = st.floats(0, 1000)
TOKENS = st.integers(0, 10**7)


def test_price_is_for_a_million_tokens_of_each_kind():
    price = Price.parse("0.15/0.6")

    assert price.cost_usd(1_000_000, 0) == 0.15
    assert price.cost_usd(0, 1_000_000) == 0.6
    assert price.cost_usd(2_000, 500) == pytest.approx(0.0006)


def test_a_free_model_costs_nothing():
    assert FREE.cost_usd(10**9, 10**9) == 0


@given(AMOUNTS, AMOUNTS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(prompt, completion, prompt_tokens, completion_tokens):
    price = Price(prompt, completion)

    least = price.cost_usd(prompt_tokens, completion_tokens)

    assert 0 <= least <= price.cost_usd(prompt_tokens + 1, completion_tokens + 1)


@pytest.mark.parametrize("text", ["", "1", "1/2/3", "a/1", "-1/1", "1/nan", "inf/1", "1,5/2"])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(ConfigurationError, match="is not a price"):
        Price.parse(text)


def test_prices_are_read_by_model():
    prices = parse_prices(("openai:gpt-4o-mini=0.15/0.6", "a=b=1/2"))

    assert prices == {"openai:gpt-4o-mini": Price(0.15, 0.6), "a=b": Price(1, 2)}


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (("0.15/0.6",), "names no model"),
        (("=0.15/0.6",), "names no model"),
        (("a=1/2", "a=3/4"), "'a' has two prices"),
        (("a=free",), "'free' is not a price"),
    ],
)
def test_prices_that_make_no_sense_are_refused(texts, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        parse_prices(texts)
