"""A text ends where a stop text begins, wherever its pieces were cut."""

from hypothesis import given
from hypothesis import strategies as st

from octomil.engines.stop_texts import StopTexts

LETTERS = st.text("abc", max_size=20)


def passed(pieces: list[str], stops: list[str]) -> str:
    cut = StopTexts(stops)
    return "".join([cut.feed(piece) for piece in pieces]) + cut.rest()


@given(st.lists(LETTERS, max_size=8), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_what_passes_is_what_comes_before_the_first_stop_text(pieces, stops):
    text = "".join(pieces)
    whole = passed([text], stops)

    assert passed(list(text), stops) == passed(pieces, stops)
    assert text.startswith(whole)
    assert not any(stop in whole for stop in stops)
    assert whole == text or any(text[len(whole) :].startswith(stop) for stop in stops)


def test_what_cannot_be_a_beginning_passes_at_once():
    cut = StopTexts(["END"])

    assert [cut.feed(piece) for piece in ("to", " E", "x")] == ["to", " ", "Ex"]
    assert not cut.is_over
