import json
import string
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from octomil.routing.deterministic import check_deterministic

# How many expressions `make test` tries; a campaign sets more.
EXAMPLES = 1_000

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "tier0_cases.jsonl").read_text().splitlines()
]

Expression = tuple[str, Fraction | None]
"""Text with every operation in brackets, and its value: None where it has none."""


@st.composite
def numbers(draw: st.DrawFn) -> Expression:
    if draw(st.booleans()):
        whole = draw(st.integers(0, 10**6))
        return draw(st.sampled_from([str(whole), f"{whole:,}"])), Fraction(whole)
    hundredths = draw(st.integers(1, 10**5).filter(lambda n: n % 10))
    text = f"{hundredths // 100}.{hundredths % 100:02}"
    return text, Fraction(hundredths, 100)


def apply(sign: str, left: Fraction | None, right: Fraction | None) -> Fraction | None:
    if left is None or right is None or (sign == "/" and right == 0):
        return None
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    return left * right if sign == "*" else left / right


SIGNS = {
    "+": ["+", " + ", " plus "],
    "-": [" - ", "-", " minus "],
    "*": ["*", " * ", " \N{MULTIPLICATION SIGN} ", " times "],
    "/": ["/", " / ", " ÷ ", " divided by "],
}


@st.composite
def operations(draw: st.DrawFn, operands: st.SearchStrategy[Expression]) -> Expression:
    (left, left_value), (right, right_value) = draw(operands), draw(operands)
    sign = draw(st.sampled_from("+-*/"))
    text = draw(st.sampled_from(SIGNS[sign]))
    return f"({left}{text}{right})", apply(sign, left_value, right_value)


@settings(max_examples=EXAMPLES)
@given(
    st.recursive(numbers(), operations, max_leaves=8),
    st.sampled_from(["calculate ", "Please compute ", "evaluate "]),
    st.sampled_from(["", "?", " = ?", ".", " please"]),
)
def test_answer_equals_the_exact_value(expression: Expression, before: str, after: str) -> None:
    text, value = expression
    query = f"{before}{text}{after}"
    assume(len(query) <= 256)

    found = check_deterministic(query)

    if found is None:
        assert value is None or "(" not in text or 0 < abs(value) < Fraction(1, 10**12)
        return
    assert value is not None
    assert found.method == "arithmetic"
    assert not found.answer.startswith("-0") or value < 0
    assert Decimal(found.answer).is_finite()
    error = abs(Fraction(found.answer) - value)
    assert error == 0 if value.denominator == 1 else error <= abs(value) / 10**9


@settings(max_examples=EXAMPLES)
@given(
    st.integers(0, 10**4), st.integers(1, 10**6), st.sampled_from(["{}% of {}", "{} percent of {}"])
)
def test_percentage_equals_the_exact_value(percent: int, whole: int, form: str) -> None:
    found = check_deterministic("What is " + form.format(percent, whole) + "?")

    assert found is not None
    assert found.method == "percentage"
    assert Fraction(found.answer) == Fraction(percent * whole, 100)
    assert "." in found.answer


@settings(max_examples=EXAMPLES)
@given(st.text(max_size=300) | st.text(string.digits + "+-*/^()., =x%", max_size=60))
def test_any_text_is_answered_or_passed_on_without_an_error(text: str) -> None:
    found = check_deterministic(text)

    assert found is None or found.answer


@settings(max_examples=EXAMPLES)
@given(
    st.lists(st.sampled_from(sorted({w for c in CASES for w in c["text"].split(" ")})), max_size=9)
)
def test_words_of_real_queries_in_any_order_never_raise(words: list[str]) -> None:
    found = check_deterministic(" ".join(words))

    assert found is None or found.confidence == 1.0


PROSE_TEXT = "the cat sat on my mat because it rained all night while she wrote code for us"
PROSE = st.sampled_from(PROSE_TEXT.split())


@settings(max_examples=EXAMPLES)
@given(st.lists(PROSE, min_size=1, max_size=8), st.sampled_from(CASES), st.integers(0, 8))
def test_prose_around_a_question_makes_it_pass_on(
    words: list[str], case: dict[str, str | None], place: int
) -> None:
    assume("my" in words or len(set(words)) > 3)
    query = [*words[:place], str(case["text"]), *words[place:]]

    assert check_deterministic(" ".join(query)) is None


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from([case for case in CASES if case["answer"]]),
    st.sampled_from(['"', "`", "$", "#"]),
)
def test_quoted_or_marked_text_passes_on(case: dict[str, str], mark: str) -> None:
    assert check_deterministic(f"{mark}{case['text']}{mark}") is None
