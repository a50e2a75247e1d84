"""API keys: made, listed, rotated, revoked, and told whose they are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from time import monotonic

from octomil.control.identifiers import new_id
from octomil.control.moments import shown, shown_or_none
from octomil.control.ports import Clock, Store
from octomil.control.records import Act, ApiKey
from octomil.control.services.callers import Caller
from octomil.control.services.grants import require_grantable
from octomil.control.tokens import KEY_PREFIX, hash_secret, new_api_key, shown_prefix
from octomil.errors import ConflictError, NotFoundError
from octomil.wire.api_keys import CreateKey, KeyCreated, KeyView

REMEMBERED_S = 5.0
"""So long a replica may go on taking a key that another one revoked."""

_MAX_REMEMBERED = 10_000


class ApiKeyService:
    """Makes keys, and tells callers by them.

    Args:
        store: where their hashes are.
        clock: tells the time.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(
        self, store: Store, clock: Clock, clock_s: Callable[[], float] = monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._clock_s = clock_s
        self._remembered: dict[bytes, tuple[ApiKey, float]] = {}
        self._changes = 0
        self._lock = Lock()

    def create(
        self, organisation: str, name: str, scopes: Sequence[str], *, actor: str
    ) -> tuple[ApiKey, str]:
        """Make a key in nobody's name but `actor`'s; return it with its text."""
        key, text = self._new(organisation, name, tuple(scopes), None)
        with self._store.transaction(organisation) as tx:
            tx.api_keys.add(key)
            tx.audit.append(_created(key, actor), key.created_at)
        return key, text

    def make(self, caller: Caller, request: CreateKey) -> KeyCreated:
        """Make a key for a caller, that can do no more than the caller can.

        Raises:
            ForbiddenError: the caller is no key, or lacks one of the scopes itself.
            BadRequestError: there is no such scope.
        """
        caller.require_key()
        scopes = require_grantable(caller, request.scopes)
        ttl_s = request.expires_in_seconds
        expires_at = None if ttl_s is None else self._clock() + timedelta(seconds=ttl_s)
        key, text = self._new(caller.organisation, request.name, scopes, expires_at)
        with self._store.transaction(caller.organisation) as tx:
            tx.api_keys.add(key)
            tx.audit.append(_created(key, caller.actor), key.created_at)
        return self._with_text(key, text)

    def list(self, caller: Caller) -> Sequence[KeyView]:
        """Return all keys of the caller's organisation, oldest first."""
        caller.require_key()
        with self._store.snapshot(caller.organisation) as tx:
            return [self.view_of(key) for key in tx.api_keys.list()]

    def get(self, caller: Caller, key_id: str) -> KeyView:
        """Return a key.

        Raises:
            NotFoundError: there is no such key in the caller's organisation.
        """
        caller.require_key()
        with self._store.snapshot(caller.organisation) as tx:
            return self.view_of(_present(tx.api_keys.get(key_id), key_id))

    def rotate(self, caller: Caller, key_id: str, grace_s: int) -> KeyCreated:
        """Make the key that follows another; the old one is good for a while yet.

        Raises:
            NotFoundError: there is no such key in the caller's organisation.
            ForbiddenError: the key has scopes that the caller lacks.
            ConflictError: the key holds no more, or was rotated already.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            old = _present(tx.api_keys.get(key_id), key_id)
            for scope in old.scopes:
                caller.require(scope)
            lifetime = None if old.expires_at is None else old.expires_at - old.created_at
            expires_at = None if lifetime is None else now + lifetime
            key, text = self._new(tx.organisation, old.name, old.scopes, expires_at)
            ends_at = now + timedelta(seconds=grace_s)
            ends_at = ends_at if old.expires_at is None else min(ends_at, old.expires_at)
            if not (old.holds_at(now) and tx.api_keys.replace(old.id, key.id, ends_at)):
                raise ConflictError(
                    f"the key {key_id!r} holds no more, or was rotated already; make a new one"
                )
            tx.api_keys.add(key)
            details = {"replaced_by": key.id, "old_one_ends": shown(ends_at)}
            tx.audit.append(_act(caller.actor, "api_key.rotate", key_id, **details), now)
            tx.after_commit(partial(self._forget, old))
        return self._with_text(key, text)

    def revoke(self, caller: Caller, key_id: str) -> KeyView:
        """Make a key void; one that is void already stays so.

        Raises:
            NotFoundError: there is no such key in the caller's organisation.
            ForbiddenError: the key has scopes that the caller lacks.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            key = _present(tx.api_keys.get(key_id), key_id)
            for scope in key.scopes:
                caller.require(scope)
            if tx.api_keys.revoke(key_id, now):
                key = replace(key, revoked_at=now)
                tx.audit.append(_act(caller.actor, "api_key.revoke", key_id), now)
            tx.after_commit(partial(self._forget, key))
        return self.view_of(key)

    def remembered_caller(self, text: str) -> Caller | None:
        """Return whose key `text` is, if that was looked up lately; blocks nobody."""
        found = self._remembered.get(hash_secret(text))
        if found is None or self._clock_s() > found[1]:
            return None
        return self._caller(found[0])

    def was_good(self, text: str) -> bool:
        """Tell whether `text` was somebody's key when it was last looked up; blocks nobody."""
        return hash_secret(text) in self._remembered

    def look_up(self, text: str) -> Caller | None:
        """Return whose key `text` is, or None if it is nobody's or holds no more."""
        if not text.startswith(KEY_PREFIX):
            return None
        key_hash, changes = hash_secret(text), self._changes
        with self._store.system_snapshot() as tx:
            key = tx.key_of_hash(key_hash)
        caller = None if key is None else self._caller(key)
        with self._lock:
            if key is None or caller is None:
                self._remembered.pop(key_hash, None)
                return None
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            if changes == self._changes:  # else it may have been revoked since it was read
                self._remembered[key_hash] = key, self._clock_s() + REMEMBERED_S
        return caller

    def view_of(self, key: ApiKey) -> KeyView:
        """Return a key as the API shows it."""
        return KeyView(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            scopes=list(key.scopes),
            status=self._status(key),
            created_at=shown(key.created_at),
            expires_at=shown_or_none(key.expires_at),
            last_used_at=shown_or_none(key.last_used_at),
            replaced_by=key.replaced_by,
        )

    def _new(
        self, organisation: str, name: str, scopes: tuple[str, ...], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        text, now = new_api_key(), self._clock()
        key = ApiKey(
            id=new_id("key", now),
            organisation=organisation,
            name=name,
            hash=hash_secret(text),
            prefix=shown_prefix(text),
            scopes=scopes,
            created_at=now,
            expires_at=expires_at,
        )
        return key, text

    def _with_text(self, key: ApiKey, text: str) -> KeyCreated:
        shown_key = self.view_of(key)
        fields = {name: getattr(shown_key, name) for name in KeyView.__dataclass_fields__}
        return KeyCreated(**fields, key=text)

    def _status(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "active" if key.holds_at(self._clock()) else "expired"

    def _forget(self, key: ApiKey) -> None:
        with self._lock:
            self._changes += 1
            self._remembered.pop(key.hash, None)

    def _caller(self, key: ApiKey) -> Caller | None:
        if not key.holds_at(self._clock()):
            return None
        return Caller(key.organisation, f"key:{key.id}", key.scopes)


def _present(key: ApiKey | None, key_id: str) -> ApiKey:
    if key is None:
        raise NotFoundError(f"there is no key {key_id!r}")
    return key


def _created(key: ApiKey, actor: str) -> Act:
    return _act(actor, "api_key.create", key.id, name=key.name, scopes=list(key.scopes))


def _act(actor: str, operation: str, target: str, **details: object) -> Act:
    return Act(actor=actor, operation=operation, target=target, details=details)
