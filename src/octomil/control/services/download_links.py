"""URLs that authorise themselves: good for one file, for one organisation, for a while."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from octomil.control.ports import Clock, Store
from octomil.control.services.access_tokens import OVERLAP, may_count, signing_id
from octomil.errors import ForbiddenError

GOOD_FOR: Final = timedelta(hours=1)

_LONGEST = GOOD_FOR + OVERLAP
_KNOWN_FOR = timedelta(minutes=1)
_UNKNOWN_FOR = timedelta(seconds=2)
"""So long ids that nobody knows cause no look; a new secret signs nothing before it is older."""
_PURPOSE = b"octomil download link 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLink:
    """What a URL says.

    Attributes:
        expires_s: seconds since 1970.
        name: what the file is to be called where it goes to.
        key_id: which secret signed it.
        signature: HMAC-SHA-256 of all the rest, as hexadecimal digits.
    """

    digest: str
    organisation: str
    expires_s: int
    name: str
    key_id: str
    signature: str = ""

    def signed(self, secret: bytes) -> str:
        """Return the signature; every field counts with its length, so none can borrow of another.

        The secret is that of device tokens, kept apart from their use by the purpose.
        """
        fields = (self.digest, self.organisation, str(self.expires_s), self.name, self.key_id)
        mac = hmac.new(hmac.digest(secret, _PURPOSE, "sha256"), digestmod=sha256)
        for each in fields:
            data = each.encode()
            mac.update(len(data).to_bytes(8) + data)
        return mac.hexdigest()


class DownloadLinks:
    """Gives out links and checks them.

    Args:
        store: where the signing secrets are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: tuple[datetime, Mapping[str, bytes]] = (datetime.min.replace(tzinfo=UTC), {})

    def give(self, organisation: str, digest: str, name: str) -> tuple[DownloadLink, datetime]:
        """Return a link to a file, and when it expires."""
        expires_at = (self._clock().astimezone(UTC) + GOOD_FOR).replace(microsecond=0)
        key_id, secret = self._read()
        unsigned = DownloadLink(
            digest=digest,
            organisation=organisation,
            expires_s=int(expires_at.timestamp()),
            name=name,
            key_id=key_id,
        )
        return replace(unsigned, signature=unsigned.signed(secret)), expires_at

    def require_true(self, link: DownloadLink) -> None:
        """Return if a link is one of ours.

        Raises:
            ForbiddenError: it is not.
        """
        secret = self._secret(link.key_id)
        right = secret is not None and hmac.compare_digest(
            link.signed(secret).encode(), link.signature.encode()
        )
        if not right:
            raise ForbiddenError("the link was changed on its way; ask for another download-url")

    def require_current(self, link: DownloadLink) -> None:
        """Return if a link that is one of ours has not expired.

        Raises:
            ForbiddenError: it has.
        """
        if self._clock().timestamp() >= link.expires_s:
            raise ForbiddenError("the link has expired; ask for another download-url")

    def _secret(self, key_id: str) -> bytes | None:
        read_at, secrets = self._known
        age = self._clock() - read_at
        if age > _KNOWN_FOR or (key_id not in secrets and age > _UNKNOWN_FOR):
            self._read()
        return self._known[1].get(key_id)

    def _read(self) -> tuple[str, bytes]:
        """Read the secrets whose links can be good still; return which to sign with, and it."""
        now = self._clock()
        with self._store.system_snapshot() as tx:
            secrets = [each for each in tx.signing_secrets() if may_count(each, now - _LONGEST)]
        known = {each.id: each.secret for each in secrets}
        self._known = now, known
        chosen = signing_id(secrets, now)
        return chosen, known[chosen]
