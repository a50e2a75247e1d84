"""What callers prove themselves with: API keys, device access tokens, refresh tokens. Pure.

An API key and a refresh token are 256 random bits; stored is their SHA-256, which needs no salt and
no slow hash, since nobody can try 2^256 texts. A device access token is signed instead
(HMAC-SHA256, RFC 2104), so that a poll is checked without looking anything up. A refresh token is
signed as well, for the one case in which its hash is not here: after a backup was restored.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from octomil.control.records import SigningSecret

KEY_PREFIX: Final = "edg_"
ACCESS_PREFIX: Final = "oda_"
REFRESH_PREFIX: Final = "odr_"
BOOTSTRAP_PREFIX: Final = "obt_"
SECRET_BYTES: Final = 32

_FAMILY_BYTES = 16
_SHOWN_CHARS = 6  # of 43: 36 bits less to guess, which leaves 220


def hash_secret(text: str) -> bytes:
    """Return the SHA-256 that stands for a key or a secret in the database."""
    return hashlib.sha256(text.encode()).digest()


def new_api_key() -> str:
    """Return the text of a new API key: `edg_` and 43 characters of base64url."""
    return KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def new_bootstrap_token() -> str:
    """Return the text of a new bootstrap token: `obt_` and 43 characters of base64url."""
    return BOOTSTRAP_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def shown_prefix(text: str) -> str:
    """Return how a key's or a token's text begins, to tell it from others by."""
    return text[: len(KEY_PREFIX) + _SHOWN_CHARS]


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token taken apart.

    Attributes:
        family: 32 hexadecimal digits that all its descendants share.
        secret: its own part: random, then what `TokenSigner.refresh_token` signed.
    """

    family: str
    secret: str

    @classmethod
    def new(cls, family: str | None = None) -> "RefreshToken":
        """Return a new token, the first of its family where none is given."""
        return cls(family or secrets.token_hex(_FAMILY_BYTES), secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Read a token's text; None if it is none."""
        family, dot, secret = text.removeprefix(REFRESH_PREFIX).partition(".")
        if not (text.startswith(REFRESH_PREFIX) and dot and secret):
            return None
        return cls(family, secret) if len(family) == 2 * _FAMILY_BYTES else None

    def __str__(self) -> str:
        return f"{REFRESH_PREFIX}{self.family}.{self.secret}"

    @property
    def hash(self) -> bytes:
        """What stands for it in the database."""
        return hash_secret(self.secret)


class AccessClaims(msgspec.Struct, frozen=True, array_like=True):
    """What a device access token says.

    Attributes:
        generation: of the device's tokens when this one was given out.
        expires_at_s: seconds since 1970 in UTC.
    """

    organisation: str
    device_id: str
    generation: int
    expires_at_s: int
    scopes: tuple[str, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AccessClaims).decode


class TokenSigner:
    """Signs access and refresh tokens with one secret, and checks them with all.

    Args:
        signing_secrets: all that count.
        active: the id of the one to sign with.

    Example:
        >>> from datetime import UTC, datetime
        >>> secret = new_signing_secret(datetime.now(UTC))
        >>> signer = TokenSigner([secret], secret.id)
        >>> token = signer.sign(AccessClaims("default", "dev_1", 0, 4_102_444_800, ()))
        >>> signer.read(token, now_s=1_000_000_000).device_id
        'dev_1'
    """

    def __init__(self, signing_secrets: Iterable[SigningSecret], active: str) -> None:
        self._keys: Mapping[str, bytes] = {each.id: each.secret for each in signing_secrets}
        self._active = active

    def sign(self, claims: AccessClaims) -> str:
        """Return the token that says `claims`: `oda_ID.CLAIMS.SIGNATURE`, in base64url."""
        signed = f"{ACCESS_PREFIX}{self._active}.{_to_text(_encode(claims))}"
        return f"{signed}.{_to_text(_signature(self._keys[self._active], signed))}"

    def read(self, token: str, *, now_s: float) -> AccessClaims | None:
        """Return what a token says, if one of our secrets signed it and it has not expired.

        Args:
            token: the text, of whatever origin.
            now_s: seconds since 1970 in UTC.
        """
        signed, _, signature = token.rpartition(".")
        head, _, claims_text = signed.partition(".")
        key = self._keys.get(head.removeprefix(ACCESS_PREFIX))
        if key is None or not token.isascii():
            return None
        if not hmac.compare_digest(_to_text(_signature(key, signed)), signature):
            return None
        claims = _decode(_from_text(claims_text))
        return claims if now_s < claims.expires_at_s else None

    def refresh_token(self, family: str | None = None, rotations: int = 0) -> RefreshToken:
        """Return a new token: `odr_FAMILY.RANDOM.ROTATIONS.ID.SIGNATURE`.

        Args:
            family: None for the first of a new one.
            rotations: how many tokens of the family went before.
        """
        token = RefreshToken.new(family)
        claimed = f"{token.secret}.{rotations}.{self._active}"
        signature = _signature(self._keys[self._active], str(replace(token, secret=claimed)))
        return replace(token, secret=f"{claimed}.{_to_text(signature)}")

    def rotations(self, token: RefreshToken) -> int | None:
        """Return how many went before a token; None if none of our secrets signed it."""
        signed, _, signature = str(token).rpartition(".")
        head, _, key_id = signed.rpartition(".")
        key = self._keys.get(key_id)
        if key is None or not signature.isascii():
            return None
        if not hmac.compare_digest(_to_text(_signature(key, signed)), signature):
            return None
        return int(head.rpartition(".")[2])


def new_signing_secret(now: datetime) -> SigningSecret:
    """Return a new secret to sign access tokens with."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return SigningSecret(id=secrets.token_hex(4), secret=secret, created_at=now)


def _signature(key: bytes, signed: str) -> bytes:
    return hmac.digest(key, signed.encode(), "sha256")


def _to_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def _from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_TO_URL = bytes.maketrans(b"+/", b"-_")
