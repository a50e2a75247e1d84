"""Device access tokens: given out, and checked in memory alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Lock

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Device, Revocation, SigningSecret
from octomil.control.services.callers import Caller
from octomil.control.tokens import AccessClaims, TokenSigner, new_signing_secret
from octomil.wire.device_auth import MAX_ACCESS_TTL_S

REFRESHED_S = 2.0
"""So long a replica may go on taking a token that another one revoked."""

_SETTLED = timedelta(seconds=10)  # until then not every replica may know a new secret
OVERLAP = timedelta(minutes=1)
"""Between replicas' clocks."""


class AccessTokens:
    """Gives out tokens and checks them; a check touches neither disk nor network.

    Args:
        store: where the signing secrets and the revocations are; read at once, and by `refresh`.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._generations: dict[str, int] = {}
        self._changes = 0  # of the generations
        self._lock = Lock()  # held for no longer than to change them: whoever writes waits for it
        if not self._read():
            self.rotate_secret()

    @property
    def signer(self) -> TokenSigner:
        """What signs now, and knows the secrets that may count."""
        return self._signer

    def refresh(self) -> None:
        """Read again what other replicas may have changed."""
        self._read()

    def _read(self) -> bool:
        """Read secrets and revocations; tell whether there is a secret to sign with."""
        now = self._clock()
        oldest = now - timedelta(seconds=MAX_ACCESS_TTL_S) - OVERLAP
        changes = self._changes
        with self._store.system_snapshot() as tx:
            secrets = [each for each in tx.signing_secrets() if may_count(each, oldest)]
            revoked = tx.revocations(oldest)
        if secrets:
            self._signer = TokenSigner(secrets, signing_id(secrets, now))
        with self._lock:
            # What was heeded since may not have been read: then nothing is forgotten this time.
            known = {} if changes == self._changes else self._generations
            read = {each.device_id: each.generation for each in revoked}
            self._generations = known | {
                device: max(generation, known.get(device, 0)) for device, generation in read.items()
            }
            self._changes += 1
        return bool(secrets)

    def rotate_secret(self) -> None:
        """Sign with a new secret soon; tokens that are out stay good until they expire."""
        with self._store.system() as tx:
            tx.add_signing_secret(new_signing_secret(self._clock()))
        self.refresh()

    def give(self, device: Device, scopes: tuple[str, ...], ttl_s: int) -> tuple[str, datetime]:
        """Return a token for a device, and when it expires."""
        expires_at = (self._clock() + timedelta(seconds=ttl_s)).replace(microsecond=0)
        claims = AccessClaims(
            device.organisation,
            device.id,
            device.generation,
            int(expires_at.timestamp()),
            scopes,
        )
        return self._signer.sign(claims), expires_at

    def caller(self, token: str) -> Caller | None:
        """Return which device a token is, or None if it is none's or holds no more."""
        claims = self._signer.read(token, now_s=self._clock().timestamp())
        if claims is None or claims.generation < self._generations.get(claims.device_id, 0):
            return None
        actor = f"device:{claims.device_id}"
        return Caller(claims.organisation, actor, claims.scopes, claims.device_id)

    def heed(self, tx: Transaction, revocation: Revocation | None) -> None:
        """Heed a revocation, if there is one, once it is committed and `refresh` reads it too."""
        if revocation is not None:
            tx.after_commit(partial(self._revoked, revocation))

    def _revoked(self, revocation: Revocation) -> None:
        with self._lock:
            self._changes += 1
            self._generations[revocation.device_id] = revocation.generation


def signing_id(secrets: Sequence[SigningSecret], now: datetime) -> str:
    """Return which secret to sign with: the youngest that every replica knows."""
    settled = [each.id for each in secrets if each.created_at <= now - _SETTLED]
    return settled[-1] if settled else secrets[0].id


def may_count(secret: SigningSecret, oldest: datetime) -> bool:
    """Tell whether anything that a secret signed since a moment can be good still."""
    return secret.retired_at is None or secret.retired_at > oldest
