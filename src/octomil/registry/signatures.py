"""Signing manifests, and checking that they were signed: Ed25519 (RFC 8032) in a DSSE envelope.

What is signed is the pre-authentication encoding of https://github.com/secure-systems-lab/dsse,
so a signature of one kind of document is none of another kind.
"""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

_KEY_ID_DIGITS = 16


class SignatureError(ValueError):
    """A signature is not the one of that key over that payload."""


def new_private_key() -> bytes:
    """Return the 32 bytes of a new private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key_of(private: bytes) -> bytes:
    """Return the 32 bytes of the public key that belongs to a private one."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def key_id_of(public: bytes) -> str:
    """Return what a key is called: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:_KEY_ID_DIGITS]


def sign(private: bytes, payload_type: str, payload: bytes) -> bytes:
    """Return the signature over a payload, 64 bytes.

    Example:
        >>> private = new_private_key()
        >>> signature = sign(private, "text/plain", b"hello")
        >>> verify(public_key_of(private), "text/plain", b"hello", signature)
    """
    return Signer(private).sign(payload_type, payload)


class Signer:
    """A private key that signs again and again; reading it takes as long as signing.

    Args:
        private: its 32 bytes.
    """

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Return the signature over a payload, as :func:`sign` does."""
        return self._key.sign(_pre_authentication_encoding(payload_type, payload))


def verify(public: bytes, payload_type: str, payload: bytes, signature: bytes) -> None:
    """Return if a signature is that key's over that payload.

    Raises:
        SignatureError: it is not.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, _pre_authentication_encoding(payload_type, payload))
    except (InvalidSignature, ValueError) as error:
        message = f"the signature is not one of the key {key_id_of(public)} over this payload"
        raise SignatureError(message) from error


def _pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
