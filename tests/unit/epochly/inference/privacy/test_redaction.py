import pytest

from epochly.errors import ConfigurationError
from epochly.inference import InputRedactor


def test_text_stays_text_and_bytes_stay_bytes():
    redactor = InputRedactor([r"\d{3}-\d{4}"])

    assert redactor.redact("call 555-1234 now") == "call [REDACTED] now"
    assert redactor.redact(b"call 555-1234 now") == b"call [REDACTED] now"
    assert redactor.redact("nothing") == "nothing"


def test_the_replacement_is_literal():
    assert InputRedactor(["a"], r"\0 \g<0> $1").redact("bab") == r"b\0 \g<0> $1b"
    assert InputRedactor(["a"], "").redact("bab") == "bb"


def test_without_patterns_nothing_changes():
    assert InputRedactor([]).redact("ann@example.com") == "ann@example.com"


def test_bytes_that_are_no_text_lose_nothing():
    junk = bytes(range(128, 256))

    assert InputRedactor(["secret", "x"]).redact(junk + b"secret" + junk) == (
        junk + b"[REDACTED]" + junk
    )


def test_patterns_match_characters_not_bytes():
    redactor = InputRedactor(["é{2}", r"\p{Greek}+", "日."])

    assert redactor.redact("éé é αβγ 日本 x") == "[REDACTED] é [REDACTED] [REDACTED] x"
    assert redactor.redact("éé".encode()) == b"[REDACTED]"


def test_a_lone_surrogate_survives():
    assert InputRedactor(["a"], "b\udc80").redact("a\ud800a") == "b\udc80\ud800b\udc80"


def test_overlapping_matches_of_two_patterns_become_one():
    assert InputRedactor(["abcd", "cdef"]).redact("xabcdefx") == "x[REDACTED]x"
    assert InputRedactor(["cdef", "abcd"]).redact("xabcdefx") == "x[REDACTED]x"


def test_matches_side_by_side_stay_two():
    assert InputRedactor([r"\d"], "#").redact("12") == "##"


def test_what_is_redacted_already_is_left_alone():
    redactor = InputRedactor([r"\w+", r"\["], "[X]")

    assert redactor.redact("a [X] b") == "[X] [X] [X]"


def test_a_match_that_cuts_into_a_replacement_takes_it_whole():
    assert InputRedactor([r"a\[R"], "[R]").redact("xa[R]x") == "x[R]x"


def test_a_text_that_does_not_settle_is_replaced_whole():
    redactor = InputRedactor([r"a#", "b"], "#")

    assert redactor.redact("xaab") == "x#"
    assert redactor.redact("x" + "a" * 100 + "b") == "#"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(a|a?)+b", r"(.*)*x"])
def test_a_catastrophic_pattern_is_harmless(pattern: str):
    text = "a" * 28 + "!"  # the standard library's `re` takes minutes

    assert InputRedactor([pattern.replace(")*", ")+").replace(".*", ".+")]).redact(text) == text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?=a)b", r"'\(\?=a\)b'.*lookahead.*surrounding text"),
        (r"(?<!a)b", "lookahead and lookbehind"),
        (r"(a)\1", r"backreferences.*alternatives"),
        (r"(?P<n>a)(?P=n)", "cannot be used"),
        ("(", r"missing \)"),
        ("a{2000}", "repetition"),
        (r"\C", "single bytes"),
        ("a*", "matches the empty text"),
        ("", "matches the empty text"),
        ("a\ud800", "cannot be used"),
        (7, "must be text"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named(pattern: object, message: str):
    with pytest.raises(ConfigurationError, match=message) as refusal:
        InputRedactor(["x", pattern])

    assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize(
    ("arguments", "message"), [(("abc",), "list of patterns"), ((["a"], b"x"), "must be text")]
)
def test_arguments_of_the_wrong_kind_are_refused(arguments: tuple, message: str):
    with pytest.raises(ConfigurationError, match=message):
        InputRedactor(*arguments)


def test_shipped_patterns_are_selected_by_name():
    text = "ann@example.com 10.0.0.1"

    assert InputRedactor(["builtin:ipv4"]).redact(text) == "ann@example.com [REDACTED]"
    assert InputRedactor(["builtin:all"]).redact(text) == "[REDACTED] [REDACTED]"
    assert (
        InputRedactor(["ann", "builtin:ipv4"]).redact(text) == "[REDACTED]@example.com [REDACTED]"
    )
    with pytest.raises(
        ConfigurationError, match=r"no shipped pattern 'emial'; did you mean 'email'"
    ):
        InputRedactor(["builtin:emial"])


def test_patterns_that_do_not_fit_in_one_are_used_each():
    same_name = [r"(?P<n>a)", r"(?P<n>b)"]

    assert InputRedactor(same_name, "#").redact("abc") == "##c"


@pytest.mark.parametrize("data", [None, 7, bytearray(b"a"), ["a"]])
def test_only_text_and_bytes_are_redacted(data: object):
    with pytest.raises(TypeError, match="only str and bytes"):
        InputRedactor(["a"]).redact(data)


def test_a_tree_is_redacted_to_its_leaves_and_copied():
    tree = {"a": ["xax", {"k": b"a"}, 7, None], "t": ("a", {"a"})}

    redacted = InputRedactor(["a"], "#").redact_tree(tree)

    assert redacted == {"#": ["x#x", {"k": b"#"}, 7, None], "t": ("#", ("#",))}
    assert tree["a"][0] == "xax"


def test_a_text_that_is_not_settled_after_sixteen_passes_is_replaced_as_a_whole():
    redactor = InputRedactor(["<>"], "")

    assert redactor.redact("x" + "<" * 16 + ">" * 16) == "x"
    assert redactor.redact("x" + "<" * 17 + ">" * 17) == ""


def test_a_number_in_a_tree_is_redacted_where_its_digits_are():
    tree = {"card": 4111111111111111, "price": 12.5, "paid": True}

    assert InputRedactor(["builtin:card"]).redact_tree(tree) == {
        "card": "[REDACTED]",
        "price": 12.5,
        "paid": True,
    }


def test_ones_own_pattern_takes_escapes_as_they_stand():
    assert InputRedactor([r"\bsecret"], "#").redact("a\\nsecret, secret") == "a\\nsecret, #"
