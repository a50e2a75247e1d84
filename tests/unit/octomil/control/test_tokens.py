import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.control.tokens import (
    KEY_PREFIX,
    AccessClaims,
    RefreshToken,
    TokenSigner,
    hash_secret,
    new_api_key,
    new_signing_secret,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = new_signing_secret(NOW)
SIGNER = TokenSigner([SECRET], SECRET.id)
CLAIMS = AccessClaims("default", "dev_1", 3, 1_000, ("devices:write",))
TOKEN = SIGNER.sign(CLAIMS)


def test_a_key_has_256_random_bits():
    first, second = new_api_key(), new_api_key()

    assert first != second
    assert len(base64.urlsafe_b64decode(first.removeprefix(KEY_PREFIX) + "=")) == 32
    assert len(hash_secret(first)) == 32


def test_a_token_says_what_was_signed_until_it_expires():
    assert SIGNER.read(TOKEN, now_s=999.9) == CLAIMS
    assert SIGNER.read(TOKEN, now_s=1_000) is None


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("AZaz09_-.é\ud800"))
def test_no_changed_character_goes_unnoticed(place: int, character: str):
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]

    assert (SIGNER.read(changed, now_s=0) is None) is (changed != TOKEN)


@given(st.text() | st.text().map(lambda text: TOKEN + text) | st.text().map(TOKEN.__add__))
def test_no_text_at_all_breaks_the_reader(text: str):
    assert SIGNER.read(text, now_s=0) == (CLAIMS if text == TOKEN else None)


def test_another_secret_of_the_same_id_signs_nothing_for_us():
    forged = replace(SECRET, secret=b"x" * 32)

    assert SIGNER.read(TokenSigner([forged], forged.id).sign(CLAIMS), now_s=0) is None


def test_tokens_of_an_older_secret_hold_while_it_is_known():
    newer = new_signing_secret(NOW)
    both = TokenSigner([SECRET, newer], newer.id)

    assert both.read(TOKEN, now_s=0) == CLAIMS
    assert TokenSigner([newer], newer.id).read(TOKEN, now_s=0) is None
    assert SIGNER.read(both.sign(CLAIMS), now_s=0) is None


def test_a_refresh_token_is_read_back():
    token = RefreshToken.new()

    assert RefreshToken.parse(str(token)) == token
    following = RefreshToken.new(token.family)
    assert following.family == token.family
    assert following.hash != token.hash


@pytest.mark.parametrize("text", ["", "odr_", "odr_x.y", f"odr_{'0' * 32}.", f"edg_{'0' * 32}.x"])
def test_what_is_no_refresh_token_is_none(text: str):
    assert RefreshToken.parse(text) is None
