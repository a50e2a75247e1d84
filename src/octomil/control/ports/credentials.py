"""What callers prove themselves with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import ApiKey, BootstrapToken, TokenFamily


class ApiKeys(Protocol):
    """The keys of an organisation."""

    def add(self, key: ApiKey) -> None:
        """Add a key."""

    def get(self, key_id: str) -> ApiKey | None:
        """Return a key by its id."""

    def list(self) -> Sequence[ApiKey]:
        """Return all keys, oldest first, revoked ones too."""

    def revoke(self, key_id: str, now: datetime) -> bool:
        """Make a key void; return False if there is none that holds under that id."""

    def replace(self, key_id: str, by: str, expires_at: datetime) -> bool:
        """Note which key follows a key, and when the old one ends.

        Returns False, and changes nothing, if the key was revoked or replaced already.
        """


class BootstrapTokens(Protocol):
    """The bootstrap tokens of an organisation."""

    def add(self, token: BootstrapToken) -> None:
        """Add a token."""

    def get(self, token_id: str) -> BootstrapToken | None:
        """Return a token by its id."""

    def list(self) -> Sequence[BootstrapToken]:
        """Return all tokens, oldest first, those that hold no more too."""

    def use(self, token_id: str, now: datetime) -> BootstrapToken | None:
        """Count a use and return the token; None, and nothing counted, if it holds no more."""

    def revoke(self, token_id: str, now: datetime) -> bool:
        """Make a token void; return False if there is none under that id that is not."""


class TokenFamilies(Protocol):
    """The families of refresh tokens of an organisation."""

    def add(self, family: TokenFamily) -> None:
        """Add a family."""

    def rotate(
        self,
        family: TokenFamily,
        secret_hash: bytes,
        *,
        rotations: int,
        previous_hash: bytes,
        rotated_at: datetime,
        expires_at: datetime,
    ) -> bool:
        """Make another token the youngest, if `family` is still as it was read.

        Returns False, and changes nothing, if somebody else was faster.
        """

    def revoke(self, family_id: str, reason: str, now: datetime) -> bool:
        """Make a family void; return False if there is none that holds under that id."""

    def origins(self, device_id: str, now: datetime) -> set[str | None]:
        """Return which bootstrap tokens a device's families began with that are good.

        None is among them if one began with an API key.
        """

    def ended(self, device_id: str, reason: str) -> set[str | None]:
        """Return which bootstrap tokens those began with that were made void for a reason."""

    def revoke_all(self, device_id: str, reason: str, now: datetime) -> int:
        """Make all families of a device void; return how many that were."""
