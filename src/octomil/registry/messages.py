"""Signing what webhooks are told, as https://www.standardwebhooks.com has it.

A message carries `webhook-id`, `webhook-timestamp` and `webhook-signature`; the last is
`v1,` and the Base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`. Libraries that check it exist in most
languages; `verify` is one for Python.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the form of one, not one
TOLERANCE_S: Final = 300.0
"""So far a message's time may be from the receiver's, or it may be an old one sent again."""

_ID, _TIMESTAMP, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_SECRET_BYTES = 32


class MessageError(ValueError):
    """A message is not what was sent, or not from who it says, or too old."""


def new_secret() -> str:
    """Return a new secret: `whsec_` and the Base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that a message is sent with.

    Args:
        secret: `whsec_` and Base64; any other text is itself the key.
        message_id: the same at each try, so that the receiver can drop repetitions.
        timestamp_s: the time of this try, seconds since 1970 in UTC.
        body: what is posted.

    Raises:
        ValueError: `secret` begins with `whsec_`, and no Base64 follows.
    """
    return {
        _ID: message_id,
        _TIMESTAMP: str(timestamp_s),
        _SIGNATURE: _signature(secret, message_id, str(timestamp_s), body),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> str:
    """Return the id of a message that arrived, once it is proven genuine.

    Args:
        secret: what the webhook was registered with.
        headers: of the request, their names in lower case.
        body: of the request, as it came.
        now_s: the time, seconds since 1970 in UTC.

    Raises:
        MessageError: it is not genuine, or its time is more than five minutes off.

    Example:
        >>> headers = signed_headers("a secret", "evt_1", 1_000_000_000, b"{}")
        >>> verify("a secret", headers, b"{}", now_s=1_000_000_060)
        'evt_1'
    """
    message_id, timestamp = headers.get(_ID, ""), headers.get(_TIMESTAMP, "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise MessageError("the message has no time")
    expected = _signature(secret, message_id, timestamp, body).encode()
    given = headers.get(_SIGNATURE, "").encode().split()
    if not any(hmac.compare_digest(expected, each) for each in given):
        raise MessageError("the message is not signed with this secret")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise MessageError(f"the message is {now_s - int(timestamp):.0f} s old")
    return message_id


def check_secret(secret: str) -> None:
    """Return if messages can be signed with a secret.

    Raises:
        ValueError: it begins with `whsec_`, and no Base64 follows.
    """
    _key(secret)


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret that begins with whsec_ must go on in Base64") from error
