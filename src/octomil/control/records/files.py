"""Files: uploads under way, and what is known about those that are kept."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledFile:
    """A whole upload, waiting to become a blob.

    Attributes:
        digest: SHA-256 of the content, 64 hexadecimal digits.
    """

    path: Path
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload that can be gone on with.

    Attributes:
        name: what the file is called where it comes from.
        size_bytes: how large it is going to be.
        verified: SHA-256 of the whole, once all of it had arrived and was looked through.
        digest: the same, once it is kept; until then None.
        expires_at: from then on it is abandoned, and its bytes may go.
    """

    id: str
    organisation: str
    name: str
    size_bytes: int
    verified: str | None = None
    digest: str | None = None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What is known about bytes that are kept, whoever refers to them.

    Attributes:
        digest: SHA-256 of the content, 64 hexadecimal digits.
        format: what its content is, as `convert.formats` tells it.
        unknown_imports: names in its pickles that only its author's code explains.
        safetensors: the digest and size in bytes of the safetensors made of it, if they were.
        not_converted: why they were not.
    """

    digest: str
    size_bytes: int
    format: str
    unknown_imports: tuple[str, ...] = ()
    safetensors: tuple[str, int] | None = None
    not_converted: str | None = None
