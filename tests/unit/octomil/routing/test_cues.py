import pytest

from octomil.routing.cues import CuedPattern, any_of

APPLES = CuedPattern(
    frozenset({"apple", "apples"}), rf"\b{any_of(frozenset({'apples', 'apple'}))}\b"
)


@pytest.mark.parametrize(
    ("text", "may", "does"),
    [
        ("an Apple a day", True, True),
        ("APPLE\N{LATIN SMALL LETTER LONG S}", True, True),
        ("a pear", False, False),
        ("", False, False),
    ],
)
def test_pattern_is_looked_for_where_a_cue_stands(text, may, does):
    assert (APPLES.may_match(text), APPLES.matches(text)) == (may, does)


def test_cue_alone_is_no_match():
    taste = CuedPattern(frozenset({"taste"}), r"\btaste\ of\b")

    assert taste.may_match("a matter of taste")
    assert not taste.matches("a matter of taste")
