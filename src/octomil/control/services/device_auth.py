"""How a device gets its tokens, renews them and gives them up.

Refresh tokens rotate: each is good once, and answers with the next. One that comes again was
copied, by whom nobody can tell, so its whole family ends, and the device's access tokens with it
(RFC 9700, 4.14.2). The exception: the answer may have been lost on its way, so for `GRACE` the
token before the youngest is taken again. Its answer is the next of the same family, in place of the
one that was lost: of two who hold on, the one who was not last ends the family at its next try.

After a restore the youngest token that is known here may be older than the one that its device has,
so of each family that is of the backup a token that is not known is taken, once, if it proves that
it followed: it is signed, and tells that more of its family went before it than are known here. The
family's end, `FAMILY_TTL` after the last refresh that is known, is the end of that, too.
"""

import hmac
from datetime import datetime, timedelta

from octomil.control.plan_numbers import RESTORED_SETTING
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, BootstrapToken, Device, TokenFamily
from octomil.control.scopes import DEVICE_SCOPES
from octomil.control.services.access_tokens import AccessTokens
from octomil.control.services.callers import Caller
from octomil.control.services.devices import DeviceService
from octomil.control.services.grants import require_grantable
from octomil.control.tokens import RefreshToken
from octomil.errors import ConflictError, ForbiddenError, UnauthorizedError
from octomil.wire.device_auth import BootstrapRequest, DeviceTokens

ACCESS_TTL_S = 3600
FAMILY_TTL = timedelta(days=90)
"""So long after its last refresh a device can still refresh."""
GRACE = timedelta(hours=1)
"""So long a lost answer may be asked for again: more than a client's tries and an outage take.

It is no longer than access tokens hold by default, so the use of a copy within it shows at the
owner's next refresh at the latest.
"""

_REUSE = "reuse"

_TRIES = 3  # at a race that somebody else has just won


class DeviceAuth:
    """Gives devices their tokens.

    Args:
        store: where the families of refresh tokens are.
        clock: tells the time.
        devices: registers devices that are not yet.
        access_tokens: gives out access tokens.
    """

    def __init__(
        self, store: Store, clock: Clock, devices: DeviceService, access_tokens: AccessTokens
    ) -> None:
        self._store = store
        self._clock = clock
        self._devices = devices
        self._access_tokens = access_tokens

    def bootstrap(self, caller: Caller, request: BootstrapRequest) -> DeviceTokens:
        """Give a device its first tokens, and register it unless it is already.

        Raises:
            ForbiddenError: the caller is no key with the scopes that are asked for, and no
                bootstrap token for devices with them.
            UnauthorizedError: the bootstrap token was used up meanwhile.
            BadRequestError: a scope is not for devices.
            ConflictError: the identifier belongs to another device than `request.device_id`.
        """
        self._check_bootstrap(caller, request)
        token, now = self._access_tokens.signer.refresh_token(), self._clock()
        with self._store.transaction(caller.organisation) as tx:
            device = self._ensure(tx, caller, request)
            if request.device_id not in (None, device.id):
                raise ConflictError(
                    f"{request.device_identifier!r} is the device {device.id!r}, not "
                    f"{request.device_id!r}"
                )
            family = TokenFamily(
                id=token.family,
                organisation=tx.organisation,
                device_id=device.id,
                scopes=tuple(request.scopes),
                access_ttl_s=request.access_ttl_seconds or ACCESS_TTL_S,
                current_hash=token.hash,
                previous_hash=None,
                created_at=now,
                rotated_at=now,
                expires_at=now + FAMILY_TTL,
                bootstrap_id=caller.bootstrap_id,
            )
            tx.token_families.add(family)
            tx.audit.append(_act(caller.actor, "device_tokens.create", device.id), now)
        return self._tokens(device, family, token)

    def require_held(self, text: str) -> None:
        """Return if a refresh token's family holds; for who has shown nothing yet, it only reads.

        Raises:
            UnauthorizedError: the token is none, or its family is unknown or has ended.
        """
        self._find(text)

    def refresh(self, text: str) -> DeviceTokens:
        """Exchange a refresh token for the next one and an access token.

        Raises:
            UnauthorizedError: the token is none, or holds no more, or came again.
        """
        for _ in range(_TRIES):
            token, family = self._find(text)
            if not self._is_next(token, family) and not self._is_of_backup(token, family):
                self._end(family, _REUSE)
                raise _refused()
            rotations = 1 + max(family.rotations, self._claimed(token))
            following = self._access_tokens.signer.refresh_token(family.id, rotations)
            device = self._rotate(family, token, following, rotations)
            if device is not None:
                return self._tokens(device, family, following)
        raise _refused()

    def revoke(self, text: str, reason: str) -> None:
        """End a token's family; one that is unknown or has ended is no error (RFC 7009, 2.2)."""
        token = RefreshToken.parse(text)
        family = self._family(token) if token else None
        if token and family and self._was_given_out(token, family):
            self._end(family, reason or "revoked")

    def _check_bootstrap(self, caller: Caller, request: BootstrapRequest) -> None:
        if caller.device_id is not None:
            raise ForbiddenError("only an API key can begin a device's tokens, not one of them")
        caller.require_organisation(request.org_id)
        if caller.bootstrap_id is None:
            require_grantable(caller, request.scopes, DEVICE_SCOPES)

    def _ensure(self, tx: Transaction, caller: Caller, request: BootstrapRequest) -> Device:
        """Return the device; by a bootstrap token, it is one that the token may let in."""
        if caller.bootstrap_id is None:
            return self._devices.ensure(tx, caller, request.device_identifier)
        token = self._let_in(tx, caller.bootstrap_id, request.device_identifier)
        if beyond := sorted(set(request.scopes) - set(token.device_scopes)):
            raise ForbiddenError(
                f"the bootstrap token is for devices with {list(token.device_scopes)}, not "
                f"{beyond}; ask for fewer scopes"
            )
        return self._devices.ensure(
            tx, caller, request.device_identifier, labels=token.labels, groups=token.groups
        )

    def _let_in(self, tx: Transaction, bootstrap_id: str, identifier: str) -> BootstrapToken:
        """Count a bootstrap token's use, unless the same device only asks again.

        It may also do so when its tokens ended as copied ones: it lost what it was let in with.
        Another's bootstrap token must not get the tokens of a device that has some.
        """
        now, device = self._clock(), tx.devices.find(identifier)
        origins = tx.token_families.origins(device.id, now) if device else set()
        if origins - {bootstrap_id}:
            raise ConflictError(
                f"{identifier!r} has tokens that it got otherwise; revoke the device's tokens first"
            )
        copied = tx.token_families.ended(device.id, _REUSE) if device else set()
        if bootstrap_id in origins | copied:
            token = tx.bootstrap_tokens.get(bootstrap_id)
        else:
            token = tx.bootstrap_tokens.use(bootstrap_id, now)
        if token is None:
            raise UnauthorizedError("the bootstrap token is used up, was revoked or has expired")
        return token

    def _find(self, text: str) -> tuple[RefreshToken, TokenFamily]:
        token = RefreshToken.parse(text)
        family = self._family(token) if token else None
        if token is None or family is None or not _holds(family, self._clock()):
            raise _refused()
        return token, family

    def _family(self, token: RefreshToken) -> TokenFamily | None:
        with self._store.system_snapshot() as tx:
            return tx.token_family(token.family)

    def _is_next(self, token: RefreshToken, family: TokenFamily) -> bool:
        if hmac.compare_digest(token.hash, family.current_hash):
            return True
        return self._is_previous(token, family) and self._clock() < family.rotated_at + GRACE

    def _is_of_backup(self, token: RefreshToken, family: TokenFamily) -> bool:
        """Tell whether a token that is not known is younger than a restored family."""
        if self._was_given_out(token, family) or self._claimed(token) <= family.rotations:
            return False
        with self._store.system_snapshot() as tx:
            restored_at = tx.setting(RESTORED_SETTING)
        return restored_at is not None and family.rotated_at < datetime.fromisoformat(restored_at)

    def _claimed(self, token: RefreshToken) -> int:
        """Return how many went before a token, by its own proof; -1 if it has none."""
        rotations = self._access_tokens.signer.rotations(token)
        return -1 if rotations is None else rotations

    def _is_previous(self, token: RefreshToken, family: TokenFamily) -> bool:
        previous = family.previous_hash
        return previous is not None and hmac.compare_digest(token.hash, previous)

    def _was_given_out(self, token: RefreshToken, family: TokenFamily) -> bool:
        is_current = hmac.compare_digest(token.hash, family.current_hash)
        return is_current or self._is_previous(token, family)

    def _rotate(
        self, family: TokenFamily, token: RefreshToken, following: RefreshToken, rotations: int
    ) -> Device | None:
        """Make `following` the youngest of its family; None if somebody was faster."""
        now = self._clock()
        # A token that comes again within the grace does not extend it.
        rotated_at = family.rotated_at if self._is_previous(token, family) else now
        with self._store.transaction(family.organisation) as tx:
            done = tx.token_families.rotate(
                family,
                following.hash,
                rotations=rotations,
                previous_hash=token.hash,
                rotated_at=rotated_at,
                expires_at=now + FAMILY_TTL,
            )
            if done and not self._was_given_out(token, family):
                actor = f"device:{family.device_id}"
                tx.audit.append(_act(actor, "device_tokens.restore", family.device_id), now)
            return tx.devices.get(family.device_id) if done else None

    def _end(self, family: TokenFamily, reason: str) -> None:
        now = self._clock()
        with self._store.transaction(family.organisation) as tx:
            if tx.token_families.revoke(family.id, reason, now):
                self._access_tokens.heed(tx, tx.devices.revoke_tokens(family.device_id, now))
                actor = f"device:{family.device_id}"
                act = _act(actor, "device_tokens.revoke", family.device_id, reason=reason)
                tx.audit.append(act, now)

    def _tokens(self, device: Device, family: TokenFamily, token: RefreshToken) -> DeviceTokens:
        access, expires_at = self._access_tokens.give(device, family.scopes, family.access_ttl_s)
        return DeviceTokens(
            access_token=access,
            refresh_token=str(token),
            token_type="Bearer",  # noqa: S106 - this is a kind, not a secret
            expires_in=family.access_ttl_s,
            expires_at=expires_at.isoformat(),
            org_id=device.organisation,
            device_id=device.id,
            device_identifier=device.identifier,
            scopes=list(family.scopes),
        )


def _holds(family: TokenFamily, now: datetime) -> bool:
    return family.revoked_at is None and now < family.expires_at


def _act(actor: str, operation: str, target: str, **details: str) -> Act:
    return Act(actor=actor, operation=operation, target=target, details=details)


def _refused() -> UnauthorizedError:
    return UnauthorizedError(
        "the refresh token is unknown, was used before, was revoked or has expired; bootstrap again"
    )
