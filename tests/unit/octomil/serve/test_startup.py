import pytest

from octomil.serve.startup import describe


@pytest.mark.parametrize(
    ("tokens_per_ms", "shown"),
    [
        (2.04, "~2 tok/ms"),
        (0.52, "~0.5 tok/ms"),
        (0.047, "~0.05 tok/ms"),
        (0.00004, "~0.00004 tok/ms"),
        (9.4, "~9 tok/ms"),
        (9.5, "~10 tok/ms"),
        (9.6, "~10 tok/ms"),
        (12.4, "~12 tok/ms"),
        (123_456.7, "~123457 tok/ms"),
    ],
)
def test_speed_is_a_plain_number(tokens_per_ms, shown):
    assert describe(135_000_000, tokens_per_ms, "octomil") == f"135M params, {shown}"


def test_what_is_not_known_is_left_out():
    assert describe(None, 2.0, "ollama") == "~2 tok/ms"
    assert describe(135_000_000, None, "octomil") == "135M params"
    assert describe(None, None, "ollama") == "ollama"
