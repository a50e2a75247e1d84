"""Versions of models: their files, their lineage, and the manifest that they are published as."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, MaxLen, MinLen

from octomil.wire.models import Prose
from octomil.wire.texts import Matches, Plain

MAX_FORMATS = 32
MAX_PARENTS = 64

Format = Annotated[str, MinLen(1), MaxLen(32), Matches(r"^[a-z0-9_.-]*$")]
Number = Annotated[str, MinLen(1), MaxLen(64), Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReference:
    """A version, by its model's id and its number."""

    model_id: Annotated[str, MinLen(1), MaxLen(64), Plain]
    version: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCreation:
    """`POST /models/{id}/versions`.

    Attributes:
        version: a semantic version, unique in the model.
        formats: it stays `converting` until there is a file in each of them.
        metrics: what was measured of it.
        parents: the versions that it comes from.
        storage_path: of its first file: `sha256:` and the digest of a complete upload, or of a file
            that another version has.
        format: what that file is to be; refused if its content is something else.
        checksum: the file's SHA-256; checked if given.
        size_bytes: its size; checked if given.
    """

    version: Number
    description: Prose | None = None
    formats: Annotated[list[Format], MaxLen(MAX_FORMATS)] = field(default_factory=list)
    metrics: dict[str, Any] | None = None
    parents: Annotated[list[VersionReference], MaxLen(MAX_PARENTS)] = field(default_factory=list)
    storage_path: Annotated[str, MinLen(1), MaxLen(1024), Plain] | None = None
    format: Format | None = None
    checksum: Annotated[str, MaxLen(71), Plain] | None = None
    size_bytes: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """A version's file in one format.

    Attributes:
        digest: of its content, `sha256:` and 64 hexadecimal digits.
        origin: `original`, or `converted` from that.
    """

    format: str
    digest: str
    size_bytes: int
    origin: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version of a model.

    Attributes:
        status: `draft`, `converting`, `ready`, `published`, `deprecated` or `failed`.
        failure: why it failed; None unless it did.
        formats: those it has files in.
        formats_wanted: those it was asked to have.
        digest: of its manifest, `sha256:` and 64 hexadecimal digits; None until it is published.
        created_at: RFC 3339 in UTC.
    """

    id: str
    model_id: str
    version: str
    status: str
    failure: str | None
    description: str | None
    formats: list[str]
    formats_wanted: list[str]
    files: list[FileView]
    metrics: dict[str, Any]
    digest: str | None
    created_at: str
    updated_at: str
    published_at: str | None
    deprecated_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionList:
    """`GET /models/{id}/versions`, newest first."""

    versions: list[VersionView]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsUpdate:
    """`PATCH /models/{id}/versions/{v}/metrics`: those of other names stay."""

    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentsUpdate:
    """`PUT /models/{id}/versions/{v}/parents`, in place of those before."""

    parents: Annotated[list[VersionReference], MaxLen(MAX_PARENTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A version that another comes from, or that comes from another."""

    model_id: str
    model: str
    version: str
    status: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeList:
    """Ancestors or descendants, nearest first."""

    versions: list[Relative]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureView:
    """One signature of a DSSE envelope.

    Attributes:
        keyid: which of the keys at `/signing-keys` made it.
        sig: Ed25519 over the payload's pre-authentication encoding, in Base64.
    """

    keyid: str
    sig: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestView:
    """What a version was published as, in a DSSE envelope.

    Attributes:
        digest: `sha256:` and the 64 hexadecimal digits of the payload's SHA-256.
        manifest: what the payload says.
        payload: the canonical JSON that was signed, in Base64.
    """

    digest: str
    manifest: dict[str, Any]
    payloadType: str  # noqa: N815 - the envelope's own name for it
    payload: str
    signatures: list[SignatureView]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyView:
    """A key that manifests are signed with.

    Attributes:
        public_key: 32 bytes in Base64.
    """

    keyid: str
    algorithm: str
    public_key: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyList:
    """`GET /signing-keys`, oldest first; the last one signs."""

    keys: list[SigningKeyView]
