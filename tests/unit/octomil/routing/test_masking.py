import pytest

from octomil.routing.masking import MASK, mask, mask_asides


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing here", "nothing here"),
        ("say 'a; b' now", "say ###### now"),
        ('say "a; b" now', "say ###### now"),
        ("say \u201ca; b\u201d now", "say ###### now"),
        ("say \u00aba; b\u00bb now", "say ###### now"),
        ("run `a; b` now", "run ###### now"),
        ("```\na; b\n``` now", "############ now"),
        ("```\nnever closed", "#" * 16),
        ("take $x; y$ now", "take ###### now"),
        ("it costs $5; or $6", "it costs $5; or $6"),
        (r"take \(x; y\) now", "take ######## now"),
        ("see https://a.b/c;d?e=f. Now", "see ###################. Now"),
        ("don't say Tom's; it's", "don't say Tom's; it's"),
        ("'don't; stop' now", "############# now"),
        ('an open " quote', 'an open " quote'),
    ],
)
def test_data_is_masked_character_by_character(text, masked):
    assert mask(text).replace(MASK, "#") == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("define x (and y) now", "define x ####### now"),
        ("(1) define x (2) define y", "(1) define x (2) define y"),
        ("define (x now", "define (x now"),
        ("f(a(b)c)", "f(a###c)"),
    ],
)
def test_asides_are_masked_but_numbers_of_a_list_are_not(text, masked):
    assert mask_asides(text).replace(MASK, "#") == masked
