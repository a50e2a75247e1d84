"""Uploads that can be gone on with, and where downloads are to be had."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from octomil.wire.numbers import EXACT
from octomil.wire.texts import Documented, Identifier, Label, Matches

MAX_FILE_BYTES = 1 << 40
SHA256_PREFIX = "sha256:"


Sha256 = Annotated[str, Matches(r"^(sha256:)?[0-9a-fA-F]{64}$")]
StoragePath = Annotated[Identifier, Documented(r"^sha256:[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """`POST /uploads`.

    Attributes:
        size_bytes: how large the file is going to be.
        name: what it is called where it comes from.
    """

    size_bytes: Annotated[int, Ge(0), Le(MAX_FILE_BYTES), EXACT]
    name: Label = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteRequest:
    """`POST /uploads/{id}/complete`.

    Attributes:
        sha256: of the whole file, as its sender has it.
        format: `onnx_data` for the weights of an ONNX model in a file of their own, whose content
            does not tell what they are; of everything else it does.
    """

    sha256: Sha256
    format: Literal["onnx_data"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadView:
    """An upload.

    Attributes:
        offset: how many bytes are here; go on from there.
        storage_path: what a version may be made of once it is complete; None until then.
        sha256: 64 hexadecimal digits, likewise.
        expires_at: from then on it is abandoned; RFC 3339 in UTC.
    """

    id: str
    name: str
    size_bytes: int
    offset: int
    is_complete: bool
    storage_path: str | None
    sha256: str | None
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedUpload:
    """`DELETE /uploads/{id}`."""

    deleted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFileRequest:
    """`POST /models/{id}/versions/{version}/files`.

    Attributes:
        storage_path: of a complete upload, or `sha256:` and the digest of a file that one of the
            organisation's versions has.
        format: what the file is to be; it is refused if its content is something else.
        name: what it is called where it comes from.
    """

    storage_path: StoragePath
    format: Label | None = None
    name: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadUrl:
    """`GET /models/{id}/versions/{version}/download-url`.

    Attributes:
        url: good without any key, for this file alone.
        expires_at: until then; RFC 3339 in UTC.
        sha256: of the file, 64 hexadecimal digits.
    """

    url: str
    expires_at: str
    format: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """`POST /blobs/collect`.

    Attributes:
        removed: how many files nobody referred to.
        bytes: what they took.
        uploads: how many abandoned uploads went with them.
    """

    removed: int
    bytes: int
    uploads: int
