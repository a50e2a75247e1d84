"""The keys that an organisation signs manifests with: one at a time, each endorsed by the last."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

from octomil.control.moments import shown, shown_or_none
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, ManifestKey
from octomil.control.scopes import MODELS_READ, SIGNING_KEYS_WRITE
from octomil.control.services.callers import Caller
from octomil.errors import ConflictError
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of
from octomil.registry.succession import endorse
from octomil.wire.signing_keys import SigningKeyView
from octomil.wire.versions import SignatureView

_A_MOMENT = timedelta(microseconds=1)


class SigningKeyService:
    """Shows the keys, and lets one take the place of another.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def list(self, caller: Caller) -> Sequence[SigningKeyView]:
        """Return the public keys that the organisation's manifests are signed with, oldest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return [view_of(key) for key in tx.manifest_keys.list()]

    def rotate(self, caller: Caller) -> SigningKeyView:
        """Make a new key that signs from now on, endorsed by the one that did so far.

        The old one's private part is overwritten; `Store.scrub` makes the files forget it, too. Its
        public part stays, for what it has signed.

        Raises:
            ForbiddenError: the caller is no key, or lacks the scope.
            ConflictError: somebody else does that at this moment.
        """
        caller.require_key()
        caller.require(SIGNING_KEYS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            old = current_key(tx, self._clock())
            now = max(self._clock(), old.created_at + _A_MOMENT)  # their order is by time
            new = _new_key(now, replaces=old)
            if not (tx.manifest_keys.retire(old.id, now) and tx.manifest_keys.add(new)):
                raise ConflictError(
                    f"the signing key {old.id} was rotated at this moment; list the keys and, if "
                    "need be, rotate again"
                )
            details = {"replaces": old.id}
            act = Act(
                actor=caller.actor, operation="signing_key.rotate", target=new.id, details=details
            )
            tx.audit.append(act, now)
        return view_of(new)


def current_key(tx: Transaction, now: datetime) -> ManifestKey:
    """Return the key that signs; the first is made when it is needed."""
    key = tx.manifest_keys.current()
    if key is not None:
        return key
    made = _new_key(now, replaces=None)
    if tx.manifest_keys.add(made):
        return made
    added = tx.manifest_keys.current()  # somebody was faster
    assert added is not None
    return added


def view_of(key: ManifestKey) -> SigningKeyView:
    """Return a key as the API shows it."""
    said = None
    if key.endorsed_by is not None and key.endorsement is not None:
        said = SignatureView(keyid=key.endorsed_by, sig=_base64(key.endorsement))
    return SigningKeyView(
        keyid=key.id,
        algorithm="ed25519",
        public_key=_base64(key.public),
        status="active" if key.retired_at is None else "retired",
        created_at=shown(key.created_at),
        retired_at=shown_or_none(key.retired_at),
        endorsement=said,
    )


def _new_key(now: datetime, *, replaces: ManifestKey | None) -> ManifestKey:
    private = new_private_key()
    public = public_key_of(private)
    said = None if replaces is None else endorse(replaces.private, public)
    return ManifestKey(
        id=key_id_of(public),
        private=private,
        public=public,
        created_at=now,
        endorsed_by=None if said is None else said.key_id,
        endorsement=None if said is None else said.signature,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
