import pytest

from epochly.errors import ConfigurationError
from epochly.inference.config.rules import Rule


def rule(kind, **limits) -> Rule:
    return Rule(kind=kind, doc="A setting.", **limits)


@pytest.mark.parametrize("text", ["1", "true", "YES", " On "])
def test_words_for_true(text):
    assert rule("boolean").parse(text) is True


@pytest.mark.parametrize("text", ["0", "False", "no", "OFF"])
def test_words_for_false(text):
    assert rule("boolean").parse(text) is False


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", " 7", 7),
        ("integer", "-7", -7),
        ("number", "7", 7.0),
        ("number", "1e-5", 1e-5),
        ("text", " a b ", "a b"),
        ("list", "a, b,,c ", ["a", "b", "c"]),
        ("list", '["a,b", "c"]', ["a,b", "c"]),
    ],
)
def test_a_text_stands_for_a_value(kind, text, value):
    parsed = rule(kind).parse(text)

    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("asked", "value", "complaint"),
    [
        (rule("boolean"), 1, "must be true or false; got 1"),
        (rule("boolean"), "true", "must be true or false; got 'true'"),
        (rule("integer"), True, "must be an integer; got True"),
        (rule("integer"), 1.0, "must be an integer; got 1.0"),
        (rule("integer", minimum=1), 0, "must be an integer of at least 1; got 0"),
        (rule("integer", minimum=0, maximum=4), 5, "must be an integer from 0 to 4; got 5"),
        (rule("number"), False, "must be a number; got False"),
        (rule("number"), float("nan"), "must be a number; got nan"),
        (rule("number"), float("inf"), "must be a number; got inf"),
        (rule("number", minimum=0), -0.5, "must be a number of at least 0; got -0.5"),
        (rule("text"), b"x", "must be a text; got b'x'"),
        (rule("text", choices=("a", "b", "c")), "d", "must be 'a', 'b' or 'c'; got 'd'"),
        (rule("list"), "ab", "must be a list of texts, separated by commas; got 'ab'"),
        (rule("list"), [1], r"must be a list of texts; got \[1\]"),
        (rule("list", choices=("a",)), ["b"], r"must be a list of 'a'; got \['b'\]"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(asked, value, complaint):
    with pytest.raises(ConfigurationError, match=f"^{complaint}$"):
        asked.check(value)


@pytest.mark.parametrize(
    ("asked", "text", "complaint"),
    [
        (rule("boolean"), "perhaps", "must be true or false; got 'perhaps'"),
        (rule("integer", maximum=4, minimum=0), "5", "must be an integer from 0 to 4; got '5'"),
        (rule("integer"), "5.0", "must be an integer; got '5.0'"),
        (rule("number"), "soon", "must be a number; got 'soon'"),
        (rule("number"), "nan", "must be a number; got 'nan'"),
        (rule("list"), '["a"', r"""must be a list .*, separated by commas; got '\["a"'"""),
        (rule("list"), "[1]", r"must be a list of texts, separated by commas; got '\[1\]'"),
        (rule("list", json_list=True), "a,b", "must be a list of texts, as a JSON array; got 'a,b"),
    ],
)
def test_a_text_that_stands_for_no_value_is_refused_as_it_was_written(asked, text, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        asked.parse(text)


def test_a_list_is_copied():
    given = ["a"]

    assert rule("list").check(given) is not given
    assert rule("list").check(("a",)) == ["a"]
