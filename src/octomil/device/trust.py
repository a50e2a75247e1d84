"""The keys that this device trusts: those of the first contact, and those that they endorsed."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Final

from octomil.device.answers import read_answer
from octomil.device.state import StateFolder
from octomil.errors import DataFolderError, DigestMismatchError, UnexpectedAnswerError
from octomil.http.api import ApiClient
from octomil.models.partial import space_errors, sync_folder, write_json
from octomil.registry.signatures import SignatureError, key_id_of, verify
from octomil.registry.succession import Endorsement, ListedKey, trusted
from octomil.wire.signing_keys import SigningKeyList, SigningKeyView

_ACTIVE: Final = "active"


class TrustedKeys:
    """The public keys that assignments and manifests may be signed with, kept on disk.

    The first contact is believed: the key that signs then is trusted. From then on a key is taken
    only if one that is trusted already has signed it, so that nobody between this device and its
    control plane can slip one in. Keys that were retired before the first contact are not trusted,
    for one may have been retired because it was stolen.

    Args:
        state: where they are kept.
        api: the control plane, which lists what keys there are.
    """

    def __init__(self, state: StateFolder, api: ApiClient) -> None:
        self._state = state
        self._api = api

    def known(self) -> Mapping[str, bytes]:
        """Return the keys by their ids; at the first contact, the one that signs.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
            InsufficientSpaceError: the disk is full.
            DataFolderError: the keys that are kept make no sense; none is trusted in their place.
            OSError: they cannot be read.
        """
        try:
            text = self._state.keys.read_bytes()
        except FileNotFoundError:
            return self._keep(_by_id(key.public for key in self._listed() if key.is_active))
        try:
            return _kept_keys(text)
        except (ValueError, TypeError) as error:
            raise DataFolderError(
                f"{self._state.keys} is damaged ({error}), so nothing is run that it would vouch "
                "for; put it back from a backup, or delete it where you trust the connection to "
                "the control plane"
            ) from error

    def require_signed(
        self,
        payload_type: str,
        payload: bytes,
        signatures: Mapping[str, bytes],
        what: str,
        *,
        is_pinned: bool = False,
    ) -> None:
        """Return if one of the keys signed a payload.

        Args:
            payload_type: what the payload says it is.
            payload: what was signed.
            signatures: by the ids of the keys that are said to have made them.
            what: what it is, in messages.
            is_pinned: something else that was signed names the payload's digest; then a key that is
                listed as retired will do, which an old manifest may well be signed with.

        Raises:
            DigestMismatchError: none of them did. Else as :meth:`known`.
        """
        keys = self.known()
        if signatures.keys().isdisjoint(keys):  # a new key may have taken the place of one of them
            listed = self._listed()
            keys = self._renewed(keys, listed)
            if is_pinned:
                keys = {**_by_id(key.public for key in listed if not key.is_active), **keys}
        for key_id in signatures.keys() & keys.keys():
            try:
                verify(keys[key_id], payload_type, payload, signatures[key_id])
            except SignatureError as error:
                raise DigestMismatchError(f"{what} is forged: {error}") from error
            return
        raise DigestMismatchError(
            f"none of the keys that this device trusts signed {what}, but "
            f"{', '.join(sorted(signatures)) or 'nobody'}, whom none of them endorsed either; if "
            f"the control plane was set up anew, compare its key and delete {self._state.keys}"
        )

    def _renewed(
        self, before: Mapping[str, bytes], listed: Iterable[ListedKey]
    ) -> Mapping[str, bytes]:
        """Return the keys, with those that they endorsed meanwhile."""
        now = trusted(before.values(), listed)
        return now if now.keys() == before.keys() else self._keep(now)

    def _listed(self) -> list[ListedKey]:
        answer = self._api.get("/signing-keys")
        shown = read_answer(answer, SigningKeyList, "a list of signing keys")
        return [_listed_key(each) for each in shown.keys]

    def _keep(self, keys: Mapping[str, bytes]) -> Mapping[str, bytes]:
        if keys:  # else nothing was ever published, and the first contact is still to come
            texts = {key_id: base64.b64encode(key).decode() for key_id, key in keys.items()}
            with space_errors(self._state.path):
                write_json(self._state.keys, texts)
                sync_folder(self._state.path)
        return keys


def _kept_keys(text: bytes) -> Mapping[str, bytes]:
    """Return the keys of a file.

    Raises:
        ValueError: it has none.
        TypeError: likewise.
    """
    kept = json.loads(text)
    if not isinstance(kept, dict) or not kept:
        raise ValueError("it has no keys")
    return _by_id(base64.b64decode(each, validate=True) for each in kept.values())


def _by_id(publics: Iterable[bytes]) -> dict[str, bytes]:
    return {key_id_of(public): public for public in publics}


def _listed_key(shown: SigningKeyView) -> ListedKey:
    said, endorsement = shown.endorsement, None
    if said is not None:
        endorsement = Endorsement(key_id=said.keyid, signature=_decoded(said.sig))
    return ListedKey(
        public=_decoded(shown.public_key),
        is_active=shown.status == _ACTIVE,
        endorsement=endorsement,
    )


def _decoded(text: str) -> bytes:
    """Return the bytes of Base64.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnexpectedAnswerError(f"a signing key is no Base64: {error}") from error
