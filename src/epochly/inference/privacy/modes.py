"""What may be stored where: the privacy mode as a policy that every store asks.

A cache tier, a golden store or a log names the kind of data and the place, and is told whether it
may be kept there and whether it has to be encrypted. Nothing here does I/O.
"""

from dataclasses import dataclass
from enum import StrEnum

from epochly.errors import ConfigurationError, PrivacyError
from epochly.inference.privacy.config import PRIVACY_MODES, PrivacyConfig


class PrivacyMode(StrEnum):
    """The documented modes.

    `EPHEMERAL` keeps requests' data in memory only. `HASHES_ONLY` persists digests and statistics
    of it, never the data, so that a persistent cache tier cannot answer from it.
    `PERSISTED_ENCRYPTED` persists the data itself, encrypted.
    """

    EPHEMERAL = "ephemeral"
    HASHES_ONLY = "hashes_only"
    PERSISTED_ENCRYPTED = "persisted_encrypted"


class DataKind(StrEnum):
    """How much of a request is in the data.

    `CONTENT` is inputs, outputs and goldens. `DIGEST` is keyed digests, counts and other
    statistics. `DECISION` is what the audit log holds: who decided what, details redacted.
    """

    CONTENT = "content"
    DIGEST = "digest"
    DECISION = "decision"


class Place(StrEnum):
    """Where data would be: this process's memory, a disk, or a server shared with others."""

    MEMORY = "memory"
    DISK = "disk"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class StoragePolicy:
    """Which data may be stored where.

    Args:
        mode: one of the three privacy modes.
        key_available: whether an encryption key can be had.
        encrypt_at_rest: whether content that is persisted is encrypted.

    Raises:
        ConfigurationError: an unknown mode, or `persisted_encrypted` without encryption or key.

    Example:
        >>> policy = StoragePolicy("hashes_only")
        >>> policy.permits(DataKind.CONTENT, Place.MEMORY)
        True
        >>> policy.permits(DataKind.CONTENT, Place.DISK)
        False
    """

    mode: str = PrivacyMode.EPHEMERAL
    key_available: bool = False
    encrypt_at_rest: bool = True

    def __post_init__(self) -> None:
        if self.mode not in PRIVACY_MODES:
            raise ConfigurationError(
                f"privacy mode must be one of {', '.join(PRIVACY_MODES)}, got {self.mode!r}"
            )
        if self.mode != PrivacyMode.PERSISTED_ENCRYPTED:
            return
        if not self.encrypt_at_rest:
            raise ConfigurationError(
                "privacy mode 'persisted_encrypted' contradicts encrypt_at_rest=False: content is "
                "never persisted in the clear; leave encrypt_at_rest on or choose another mode"
            )
        if not self.key_available:
            raise ConfigurationError(
                "privacy mode 'persisted_encrypted' needs an encryption key and none can be had; "
                "provide one through encryption_key_source or choose another mode"
            )

    @classmethod
    def of(cls, config: PrivacyConfig, *, key_available: bool) -> "StoragePolicy":
        """Make the policy of a configuration.

        Raises:
            ConfigurationError: the configuration cannot be kept without a key, and there is none.
        """
        return cls(config.mode, key_available, config.encrypt_at_rest)

    def permits(self, kind: DataKind, place: Place) -> bool:
        """Tell whether data of that kind may be kept in that place."""
        if place is Place.MEMORY:
            return True
        if kind is DataKind.CONTENT:
            return self.mode == PrivacyMode.PERSISTED_ENCRYPTED
        if kind is DataKind.DIGEST:
            return self.mode != PrivacyMode.EPHEMERAL
        return place is Place.DISK

    def must_encrypt(self, kind: DataKind, place: Place) -> bool:
        """Tell whether data of that kind has to be encrypted in that place.

        Raises:
            PrivacyError: it may not be kept there at all.
        """
        self.require(kind, place)
        return kind is DataKind.CONTENT and place is not Place.MEMORY

    def require(self, kind: DataKind, place: Place) -> None:
        """Return if data of that kind may be kept in that place.

        Raises:
            PrivacyError: it may not.
        """
        if not self.permits(kind, place):
            raise PrivacyError(f"privacy mode {self.mode!r} keeps no {kind} on {_NAMES[place]}")


_NAMES = {Place.MEMORY: "memory", Place.DISK: "disk", Place.SHARED: "a shared server"}
