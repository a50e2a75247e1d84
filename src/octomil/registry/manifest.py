"""The manifest of a version: what exactly was published, in one form of bytes.

Its SHA-256 is the version's digest, so whoever knows the digest can check every file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

DIGEST_PREFIX: Final = "sha256:"
PAYLOAD_TYPE: Final = "application/vnd.octomil.manifest.v1+json"
"""What the payload of a signed manifest says it is."""

_HEX_DIGITS = 64
_FORMAT = re.compile(r"[a-z0-9][a-z0-9_-]*")  # files are called by it: no dots, no folders


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """A file of a version.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        size: bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestParent:
    """A version that another comes from.

    Attributes:
        digest: of its own manifest.
    """

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a version was published as.

    Attributes:
        name: the model's.
        version: its number.
        files: by format.
        lineage: what it comes from.
        created: when the version was created, RFC 3339 in UTC.
    """

    name: str
    version: str
    files: Mapping[str, ManifestFile]
    lineage: tuple[ManifestParent, ...]
    created: str

    def payload(self) -> bytes:
        """Return the canonical JSON: sorted keys, no white space, ASCII only."""
        value: Any = msgspec.to_builtins(self)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def parse(cls, payload: bytes) -> "Manifest":
        """Read a manifest, of whatever origin.

        Raises:
            ValueError: it is none, or not in its canonical form.
        """
        try:
            manifest = msgspec.json.decode(payload, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"this is no manifest: {error}") from error
        if manifest.payload() != payload:
            raise ValueError("the manifest is not in its canonical form")
        for format_, file in manifest.files.items():
            if not _FORMAT.fullmatch(format_):
                raise ValueError(f"{format_[:80]!r} is no name of a format")
            hex_of(file.digest)
        for parent in manifest.lineage:
            hex_of(parent.digest)
        return manifest


def digest_of(payload: bytes) -> str:
    """Return the digest of a manifest's payload: `sha256:` and 64 hexadecimal digits."""
    return DIGEST_PREFIX + hashlib.sha256(payload).hexdigest()


def hex_of(digest: str) -> str:
    """Return a digest's 64 hexadecimal digits, in lower case; the prefix may be missing.

    Raises:
        ValueError: it is no digest.

    Example:
        >>> hex_of("sha256:" + "AB" * 32) == "ab" * 32
        True
    """
    digits = digest.removeprefix(DIGEST_PREFIX).lower()
    if len(digits) != _HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{digest[:80]!r} is no SHA-256; write sha256: and 64 hexadecimal digits")
    return digits
