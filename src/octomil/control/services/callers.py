"""Who asks, and what they may do."""

from dataclasses import dataclass

from octomil.control.scopes import ALL_SCOPES, DEVICES_READ, DEVICES_WRITE, covers
from octomil.errors import ForbiddenError

__all__ = ["ALL_SCOPES", "DEVICES_READ", "DEVICES_WRITE", "Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as its key or token proves.

    Attributes:
        actor: for the audit: `key:ID`, `device:ID` or `bootstrap:ID`.
        scopes: what the key or token is good for; `*` for everything.
        device_id: the device a token is bound to; None for a key.
        bootstrap_id: the bootstrap token that was shown; None for all others.
    """

    organisation: str
    actor: str
    scopes: tuple[str, ...]
    device_id: str | None = None
    bootstrap_id: str | None = None

    @property
    def key_id(self) -> str | None:
        """The API key that was shown; None for tokens."""
        kind, _, name = self.actor.partition(":")
        return name if kind == "key" else None

    def may(self, scope: str) -> bool:
        """Tell whether the caller has a scope."""
        return covers(self.scopes, scope)

    def require(self, scope: str) -> None:
        """Return if the caller has a scope.

        Raises:
            ForbiddenError: it does not.
        """
        if not self.may(scope):
            raise ForbiddenError(f"this needs the scope {scope!r}, which {self.actor} lacks")

    def require_key(self) -> None:
        """Return if the caller showed an API key.

        Raises:
            ForbiddenError: it showed a device's token or a bootstrap token.
        """
        if self.device_id is not None or self.bootstrap_id is not None:
            raise ForbiddenError(f"this needs an API key, which {self.actor} is not")

    def require_organisation(self, organisation: str | None) -> None:
        """Return if the caller belongs to the organisation that a request names, if it does.

        Raises:
            ForbiddenError: it belongs to another.
        """
        if organisation is not None and organisation != self.organisation:
            raise ForbiddenError(
                f"the key belongs to the organisation {self.organisation!r}, not to "
                f"{organisation!r}; leave org_id out, or set OCTOMIL_ORG_ID to the key's own"
            )

    def require_device(self, device_id: str) -> None:
        """Return if the caller is a key, or the device itself.

        Raises:
            ForbiddenError: it is another device.
        """
        if self.device_id is not None and self.device_id != device_id:
            raise ForbiddenError(f"{self.actor} may ask for itself only, not for {device_id!r}")
