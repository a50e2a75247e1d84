"""Bootstrap tokens: what devices without any other credential get their first tokens with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from octomil.control.identifiers import new_id
from octomil.control.moments import shown
from octomil.control.ports import Clock, Store
from octomil.control.records import Act, BootstrapToken
from octomil.control.scopes import DEVICE_SCOPES, DEVICES_REGISTER
from octomil.control.services.callers import Caller
from octomil.control.services.grants import require_grantable
from octomil.control.tokens import BOOTSTRAP_PREFIX, hash_secret, new_bootstrap_token, shown_prefix
from octomil.errors import NotFoundError
from octomil.wire.device_auth import (
    BootstrapTokenCreated,
    BootstrapTokenView,
    CreateBootstrapToken,
)


class BootstrapTokenService:
    """Makes bootstrap tokens, and tells callers by them.

    Args:
        store: where their hashes are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def make(self, caller: Caller, request: CreateBootstrapToken) -> BootstrapTokenCreated:
        """Make a token.

        Raises:
            ForbiddenError: the caller is no key, or lacks one of the devices' scopes itself.
            BadRequestError: one of the scopes is not for devices.
        """
        caller.require_key()
        scopes = require_grantable(caller, request.device_scopes, DEVICE_SCOPES)
        text, now = new_bootstrap_token(), self._clock()
        token = BootstrapToken(
            id=new_id("obt", now),
            organisation=caller.organisation,
            name=request.name,
            hash=hash_secret(text),
            prefix=shown_prefix(text),
            device_scopes=scopes,
            labels=request.labels,
            groups=tuple(sorted(set(request.groups))),
            created_at=now,
            expires_at=now + timedelta(seconds=request.expires_in_seconds),
            max_uses=request.max_uses,
        )
        with self._store.transaction(caller.organisation) as tx:
            tx.bootstrap_tokens.add(token)
            details = {"name": token.name, "device_scopes": list(scopes)}
            tx.audit.append(_act(caller, "bootstrap_token.create", token.id, **details), now)
        view = view_of(token, now)
        fields = {name: getattr(view, name) for name in BootstrapTokenView.__dataclass_fields__}
        return BootstrapTokenCreated(**fields, token=text)

    def list(self, caller: Caller) -> Sequence[BootstrapTokenView]:
        """Return all tokens of the caller's organisation, oldest first."""
        caller.require_key()
        with self._store.snapshot(caller.organisation) as tx:
            return [view_of(token, self._clock()) for token in tx.bootstrap_tokens.list()]

    def revoke(self, caller: Caller, token_id: str) -> BootstrapTokenView:
        """Make a token void; devices that have their tokens keep them.

        Raises:
            NotFoundError: there is no such token in the caller's organisation.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            token = tx.bootstrap_tokens.get(token_id)
            if token is None:
                raise NotFoundError(f"there is no bootstrap token {token_id!r}")
            if tx.bootstrap_tokens.revoke(token_id, now):
                token = replace(token, revoked_at=now)
                tx.audit.append(_act(caller, "bootstrap_token.revoke", token_id), now)
        return view_of(token, now)

    def look_up(self, text: str) -> Caller | None:
        """Return whose token `text` is, or None if it is nobody's or holds no more."""
        if not text.startswith(BOOTSTRAP_PREFIX):
            return None
        with self._store.system_snapshot() as tx:
            token = tx.bootstrap_token_of_hash(hash_secret(text))
        if token is None or not token.holds_at(self._clock()):
            return None
        return Caller(
            token.organisation,
            f"bootstrap:{token.id}",
            (DEVICES_REGISTER,),
            bootstrap_id=token.id,
        )


def view_of(token: BootstrapToken, now: datetime) -> BootstrapTokenView:
    """Return a token as the API shows it."""
    return BootstrapTokenView(
        id=token.id,
        name=token.name,
        prefix=token.prefix,
        status=_status(token, now),
        device_scopes=list(token.device_scopes),
        labels=dict(token.labels),
        groups=list(token.groups),
        uses=token.uses,
        max_uses=token.max_uses,
        created_at=shown(token.created_at),
        expires_at=shown(token.expires_at),
    )


def _status(token: BootstrapToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at <= now:
        return "expired"
    return "used_up" if token.uses == token.max_uses else "active"


def _act(caller: Caller, operation: str, target: str, **details: object) -> Act:
    return Act(actor=caller.actor, operation=operation, target=target, details=details)
