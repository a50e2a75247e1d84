"""Which signing keys to trust: those that one has, and those that a trusted key has signed.

A key that takes the place of another is endorsed by it: the old key signs the new one before it
is given up. Whoever trusts the old key can follow, however many steps it has missed, and needs to
believe nobody on the way. What an attacker lists without such a signature is ignored.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from octomil.registry.signatures import SignatureError, key_id_of, public_key_of, sign, verify

PAYLOAD_TYPE: Final = "application/vnd.octomil.signing-key.v1+json"
"""What the payload of an endorsement says it is, so that no manifest can be mistaken for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """What a key says for its successor.

    Attributes:
        key_id: which key says it.
        signature: Ed25519, over the pre-authentication encoding of :func:`statement`.
    """

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key as somebody shows it, whom nobody needs to believe.

    Attributes:
        public: 32 bytes.
        is_active: it is said to be the one that signs now.
        endorsement: None for one that took nobody's place.
    """

    public: bytes
    is_active: bool = True
    endorsement: Endorsement | None = None


def statement(public: bytes) -> bytes:
    """Return what is signed about a key: canonical JSON with its public part in hexadecimal."""
    value = {"algorithm": "ed25519", "public_key": public.hex()}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def endorse(private: bytes, successor: bytes) -> Endorsement:
    """Return what a private key says for the public key that is to take its place.

    Example:
        >>> from octomil.registry.signatures import new_private_key
        >>> old, new = new_private_key(), new_private_key()
        >>> said = endorse(old, public_key_of(new))
        >>> listed = [ListedKey(public=public_key_of(new), endorsement=said)]
        >>> trusted([public_key_of(old)], listed).keys() >= {key_id_of(public_key_of(new))}
        True
    """
    return Endorsement(
        key_id=key_id_of(public_key_of(private)),
        signature=sign(private, PAYLOAD_TYPE, statement(successor)),
    )


def trusted(kept: Iterable[bytes], listed: Iterable[ListedKey]) -> Mapping[str, bytes]:
    """Return the public keys that may be trusted, by their ids.

    Args:
        kept: the public keys that are trusted already.
        listed: what is said to be there now; keys are known by their bytes, never by a name that
            somebody gives them.
    """
    found = {key_id_of(public): public for public in kept}
    waiting: dict[str, list[ListedKey]] = {}
    for key in listed:
        if key.endorsement is not None:
            waiting.setdefault(key.endorsement.key_id, []).append(key)
    unvisited = list(found)
    while unvisited:
        by = unvisited.pop()
        for key in waiting.pop(by, ()):
            key_id = key_id_of(key.public)
            if key_id not in found and _is_endorsed(key, found[by]):
                found[key_id] = key.public
                unvisited.append(key_id)
    return found


def _is_endorsed(key: ListedKey, by: bytes) -> bool:
    assert key.endorsement is not None
    try:
        verify(by, PAYLOAD_TYPE, statement(key.public), key.endorsement.signature)
    except SignatureError:
        return False
    return True
