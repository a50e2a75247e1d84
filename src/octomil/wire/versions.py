"""Versions of models: their files, their lineage, and the manifest that they are published as."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from octomil.wire.formats import Format, KnownFormat
from octomil.wire.models import Prose
from octomil.wire.numbers import EXACT
from octomil.wire.texts import Documented, Identifier, Plain
from octomil.wire.uploads import StoragePath

MAX_FORMATS = 32
MAX_PARENTS = 64

SEMVER_PATTERN = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$"
)
"""As https://semver.org/spec/v2.0.0.html has it; groups: core, pre-release, build."""

Number = Annotated[str, MinLen(1), MaxLen(64), Plain]
Dimension = Annotated[int, Ge(1), Le(2**31 - 1), EXACT]


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
        architecture: how a state dict is built into a model, as its owner calls it.
        input_dim: features that go in.
        hidden_dim: width of the hidden layers.
        output_dim: values that come out.
        parents: the versions that it comes from.
        storage_path: of its first file: `sha256:` and the digest of a complete upload, or of a file
            that another version has.
        format: what that file is to be; refused if its content is something else.
        checksum: the file's SHA-256; checked if given.
        size_bytes: its size; checked if given.
    """

    version: Annotated[Number, Documented(SEMVER_PATTERN)]
    description: Prose | None = None
    formats: Annotated[list[KnownFormat], MaxLen(MAX_FORMATS)] = field(default_factory=list)
    metrics: dict[str, Any] | None = None
    architecture: Identifier | None = None
    input_dim: Dimension | None = None
    hidden_dim: Dimension | None = None
    output_dim: Dimension | None = None
    parents: Annotated[list[VersionReference], MaxLen(MAX_PARENTS)] = field(default_factory=list)
    storage_path: StoragePath | None = None
    format: Format | None = None
    checksum: Annotated[str, MaxLen(71), Plain] | None = None
    size_bytes: Annotated[int, Ge(0), EXACT] | None = None


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
        note: what it is waiting for, and how that comes; None unless it is `converting`.
        architecture: `name`, `input_dim`, `hidden_dim` and `output_dim`, those that were given.
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
    note: str | None
    architecture: dict[str, Any] | None
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
class VersionFailure:
    """`POST /models/{id}/versions/{v}/fail`.

    Attributes:
        reason: why it cannot become ready, as people and programs that wait for it are to read it.
    """

    reason: Annotated[Prose, MinLen(1)]


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
