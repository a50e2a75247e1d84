"""The keys that manifests are signed with."""

from dataclasses import dataclass

from octomil.wire.versions import SignatureView


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyView:
    """A key that manifests are signed with.

    Attributes:
        public_key: 32 bytes in Base64.
        status: `active` for the one that signs, `retired` for those that did.
        endorsement: the signature of the key whose place it took, over
            `{"algorithm":"ed25519","public_key":"HEX"}` as the payload of a DSSE envelope of the
            type `application/vnd.octomil.signing-key.v1+json`; None for an organisation's first.
    """

    keyid: str
    algorithm: str
    public_key: str
    status: str
    created_at: str
    retired_at: str | None
    endorsement: SignatureView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyList:
    """`GET /signing-keys`, oldest first; the last one signs."""

    keys: list[SigningKeyView]
