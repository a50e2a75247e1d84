import pytest

from octomil.serve.merging import Merger


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([["one", " two"]], ["one", " two"]),
        ([["one ", " two"]], ["one", "  two"]),
        ([[" \n", "one", "\n"]], ["", "one", ""]),
        ([["one"], ["two"]], ["one", "\n\ntwo"]),
        ([["one\n\n"], [], [" "], [" two"]], ["one", "", "\n\ntwo"]),
    ],
)
def test_spaces_at_an_end_are_kept_back_until_they_are_none(answers, said):
    merger, told = Merger(), []

    for pieces in answers:
        told += [merger.add(piece) for piece in pieces]
        merger.begin_answer()

    assert told == said
