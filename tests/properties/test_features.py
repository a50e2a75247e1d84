"""What is read by bytes, by memory and all at once is what a plain reading finds."""

import math
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from octomil.routing import features
from octomil.routing.complexity import scorer, trust_in

SEPARATORS = '.,;:!?"()[]{}<>=+*/\\|`~@#$%^&_\n\t\r“”\u2018\u2019…'
CODE = (
    "`", "()", "(a):", "(a);", "(a) {", "=>", "->", "</a>", " == ", ";\n", "#include", "select * ",
    "traceback (",
)  # fmt: skip
PIECES = st.sampled_from(
    [*SEPARATORS, *CODE, "please", "Please ", " tensor ", "the", "photosynthetic", " 42 ", "x² "]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join)


def plain_words(prose: str) -> list[str]:
    """Return the words of a lower-cased text, one character after the other."""
    spaced = "".join(" " if character in SEPARATORS else character for character in prose)
    return [word for word in spaced.split() if word != "please"]


def plain_code(word: str) -> int:
    return crc32(b"#" if word.isdigit() else word.encode("utf-8", "surrogatepass"))


@given(TEXTS)
def test_words_are_what_the_separators_leave(text):
    prompt = features.read(text)

    assert prompt.tokens == plain_words(prompt.prose)
    assert list(prompt.distinct) == list(dict.fromkeys(prompt.tokens))


@given(TEXTS)
def test_notation_quotes_and_commas_are_counted_in_the_prose(text):
    prompt = features.read(text)
    count = len(prompt.tokens) or 1
    notation, quotes, commas = features.text_style(prompt)[3:]

    assert notation == math.sqrt(sum(map(prompt.prose.count, "=\\^+$<")) / count)
    assert quotes == min(prompt.prose.count('"') / count, 0.2)
    assert commas == prompt.prose.count(",") / count


@given(st.text(alphabet="abc .?!", max_size=40), st.sampled_from(CODE))
def test_every_mark_of_code_is_felt(text, mark):
    assert features.read(text).code == 0
    assert features.read(f"{text} x{mark}x").code > 0


@given(TEXTS)
def test_what_n_grams_say_is_the_sum_over_words_and_neighbours(text):
    prompt, model = features.read(text), scorer()
    grams = [byte - 256 if byte > 127 else byte for byte in model.coefficients.grams]
    codes = [plain_code(word) for word in prompt.tokens]
    seconds = [code * 0x9E3779B1 >> 7 for code in codes]
    places = list(map(plain_code, dict.fromkeys(prompt.tokens)))
    places += [first ^ second for first, second in zip(codes, seconds[1:], strict=False)]
    total = sum(grams[place % len(grams)] for place in places)
    unit = model.coefficients.gram_unit / model.coefficients.spread

    norm = trust_in(prompt) * unit / math.sqrt(len(places) or 1)
    assert math.isclose(model.parts(prompt)[1], norm * total, rel_tol=1e-12)
