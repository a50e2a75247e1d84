import pytest

from octomil.routing.notation import MAX_TOKENS, RefusedError, to_symbols, tokenize


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("2+2", "n+n"),
        ("2 ** 3", "n^n"),
        ("two minus two", "nMn"),
        ("6 divided by 3", "nDn"),
        ("6 over 3", "nOn"),
        ("6 ÷ 3", "nDn"),
        ("the square root of 16", "Rn"),
        ("three to the 4th power", "n^n"),
        ("three raised to the fifth power", "n^n"),
        ("5 squared", "nS"),
        ("negative 5", "-n"),
        ("2 x 3", "nxn"),
    ],
)
def test_signs_and_words_become_tokens(text: str, kinds: str) -> None:
    symbols = to_symbols(text)

    assert symbols is not None
    tokens = tokenize(symbols)
    assert "".join(token.kind for token in tokens[:-1]) == kinds
    assert tokens[-1].kind == "end"


def test_token_knows_the_spaces_around_it() -> None:
    minus = [tokenize(text)[1] for text in ("5-3", "5 - 3", "5 -3", "5- 3")]

    assert [(token.before, token.after) for token in minus] == [
        (False, False),
        (True, True),
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    "text", ["5 m 3", "5 M 3", "2 d 2", "a + b", "2 = 2", "1.2.3", "007", "5%"]
)
def test_anything_else_is_refused(text: str) -> None:
    symbols = to_symbols(text)

    assert symbols is not None
    with pytest.raises(RefusedError):
        tokenize(symbols)


def test_words_that_form_no_number_have_no_symbols() -> None:
    assert to_symbols("nine eleven") is None


def test_number_of_tokens_is_bounded() -> None:
    assert len(tokenize("1+" * (MAX_TOKENS // 2))) == MAX_TOKENS + 1
    with pytest.raises(RefusedError):
        tokenize("1+" * (MAX_TOKENS // 2) + "1")
