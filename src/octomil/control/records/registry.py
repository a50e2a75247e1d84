"""Models, their versions, and the names that point at versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from octomil.registry.lifecycle import VersionState

Origin = Literal["original", "converted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, of which there are versions.

    Attributes:
        name: unique in its organisation; part of the manifests of its versions, so it stays.
        model_contract: what goes into the model and comes out, as its owner describes it.
        data_contract: what data it is trained on, likewise.
        architecture: how to build it anew, likewise.
        metadata: anything else its owner wants to keep with it.
    """

    id: str
    organisation: str
    name: str
    description: str | None = None
    framework: str | None = None
    use_case: str | None = None
    model_contract: Any = None
    data_contract: Any = None
    architecture: Any = None
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFile:
    """A version's file in one format.

    Attributes:
        format: such as `pytorch`, `onnx`, `safetensors`; a version has one file in each.
        digest: SHA-256 of the content, 64 hexadecimal digits: its name among the blobs.
        origin: whether it is what was uploaded, or was made from that.
        name: what the file was called where it came from.
    """

    format: str
    digest: str
    size_bytes: int
    origin: Origin
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a model.

    Attributes:
        number: a semantic version, unique in its model.
        state: where it stands; files and lineage change only until it is published.
        failure: why it failed; None unless it did.
        formats_wanted: it is converting until there is a file in each of them.
        files: by format, in the order of their names.
        architecture: how to build it anew: a name, and its sizes, as its owner says.
        metrics: what was measured of it; may change for ever.
        digest: SHA-256 of its manifest, 64 hexadecimal digits; None until it is published.
    """

    id: str
    organisation: str
    model_id: str
    number: str
    state: VersionState = VersionState.DRAFT
    failure: str | None = None
    description: str | None = None
    formats_wanted: tuple[str, ...] = ()
    architecture: Mapping[str, Any] | None = None
    files: tuple[VersionFile, ...] = ()
    metrics: Mapping[str, Any]
    digest: str | None = None
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    deprecated_at: datetime | None = None

    def file(self, format_: str) -> VersionFile | None:
        """Return the file in a format."""
        return next((each for each in self.files if each.format == format_), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """What a version was published as.

    Attributes:
        payload: the canonical JSON whose SHA-256 is the version's digest.
        key_id: which key signed it.
        signature: Ed25519, over the payload's pre-authentication encoding.
    """

    payload: bytes
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestKey:
    """A key that an organisation's manifests are signed with.

    Attributes:
        id: the first 16 hexadecimal digits of the public key's SHA-256.
        private: 32 bytes; none once it is retired, so that nobody can sign with it any more.
        public: 32 bytes.
        endorsed_by: the key whose place it took; None for an organisation's first.
        endorsement: that key's signature over this one (`registry.succession`), likewise.
        retired_at: since when it signs no more.
    """

    id: str
    private: bytes
    public: bytes
    created_at: datetime
    endorsed_by: str | None = None
    endorsement: bytes | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Where a name points, or pointed: one step of its history.

    Attributes:
        revision: 1 for the first step, and one more for each after it.
        version_id: None where the name was taken away.
        number: the version's, None likewise.
        actor: who moved it.
    """

    model_id: str
    name: str
    revision: int
    version_id: str | None
    number: str | None
    actor: str
    moved_at: datetime
