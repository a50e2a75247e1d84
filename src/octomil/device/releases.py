"""Releases: whole versions on this device, each under the digest of its manifest, all verified."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octomil.device.state import StateFolder
from octomil.errors import DigestMismatchError, UnexpectedAnswerError
from octomil.http.api import ApiClient, path_to
from octomil.http.records import Record
from octomil.models.partial import read_json, space_errors, write_json
from octomil.registry.manifest import PAYLOAD_TYPE, Manifest, digest_of, hex_of
from octomil.registry.signatures import SignatureError, key_id_of, verify
from octomil.sdk.downloads import Downloader, RemoteFile

_MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version that is here whole.

    Attributes:
        digest: of its manifest, `sha256:` and 64 hexadecimal digits.
        files: by format.
    """

    model_id: str
    version: str
    digest: str
    folder: Path
    files: Mapping[str, Path]


class Releases:
    """Fetches releases and looks after those that are here.

    Args:
        state: where they are.
        api: the control plane, as this device.
        downloader: fetches files.
    """

    def __init__(self, state: StateFolder, api: ApiClient, downloader: Downloader) -> None:
        self._state = state
        self._api = api
        self._downloader = downloader

    def obtain(self, model_id: str, version: str, digest: str) -> Release:
        """Return a release, fetched unless it is here whole.

        Raises:
            DigestMismatchError: what the control plane sends is not what was assigned, or nobody
                whom this device trusts has signed it.
            InsufficientSpaceError: the disk is full.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        here = self._state.releases / hex_of(digest)
        if damaged_part(here) is not None:
            here = self._fetch(model_id, version, digest)
        manifest = _read_manifest(here)
        files = {format_: here / format_ for format_ in manifest.files}
        return Release(model_id=model_id, version=version, digest=digest, folder=here, files=files)

    def keep_only(self, digests: set[str]) -> None:
        """Delete every release but these."""
        self._state.remove_all_but({hex_of(digest) for digest in digests})

    def _fetch(self, model_id: str, version: str, digest: str) -> Path:
        envelope = self._api.get(path_to("models", model_id, "versions", version, "manifest"))
        payload = self._verified_payload(envelope, digest)
        folder = self._state.incoming(hex_of(digest))
        with space_errors(self._state.path):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / _MANIFEST, {"payload": payload.decode()})
        for format_, file in Manifest.parse(payload).files.items():
            where = path_to("models", model_id, "versions", version, "download-url")
            url = str(self._api.get(where, format=format_).url)
            sha256 = hex_of(file.digest)
            remote = RemoteFile(name=format_, url=url, sha256=sha256, size_bytes=file.size)
            self._downloader.fetch(remote, folder / format_)
        return self._state.install(hex_of(digest))

    def _verified_payload(self, envelope: Record, digest: str) -> bytes:
        """Return the manifest's bytes, if they are what was assigned and are signed."""
        try:
            payload = base64.b64decode(envelope.payload, validate=True)
            signatures = {
                each.keyid: base64.b64decode(each.sig, validate=True)
                for each in envelope.signatures
            }
        except (AttributeError, TypeError, binascii.Error) as error:
            raise UnexpectedAnswerError(f"the manifest is in no DSSE envelope: {error}") from error
        if digest_of(payload) != digest:
            raise DigestMismatchError(
                f"the manifest that was assigned is {digest}, and {digest_of(payload)} was sent"
            )
        keys = self._trusted_keys()
        for key_id in signatures.keys() & keys.keys():
            try:
                verify(keys[key_id], PAYLOAD_TYPE, payload, signatures[key_id])
            except SignatureError as error:
                raise DigestMismatchError(f"the manifest {digest} is forged: {error}") from error
            return payload
        raise DigestMismatchError(
            f"none of the keys that this device trusts signed the manifest {digest}, but "
            f"{', '.join(sorted(signatures)) or 'nobody'}; if the control plane has a new key, "
            f"compare it and delete {self._state.keys}"
        )

    def _trusted_keys(self) -> Mapping[str, bytes]:
        """Return the keys that manifests may be signed with: those of the first time, for ever."""
        kept = read_json(self._state.keys)
        if not kept:
            listed: Sequence[Record] = self._api.get("/signing-keys")["keys"]
            kept = {key.keyid: key.public_key for key in listed}
            with space_errors(self._state.path):
                write_json(self._state.keys, kept)
        keys = [base64.b64decode(text) for text in kept.values()]
        return {key_id_of(key): key for key in keys}


def damaged_part(folder: Path) -> str | None:
    """Return what of a release is missing or not what its manifest says; None if it is whole.

    Every byte is read again.
    """
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError):
        return _MANIFEST
    if digest_of(manifest.payload()) != digest_of_folder(folder):
        return _MANIFEST
    for format_, file in manifest.files.items():
        if _sha256(folder / format_) != hex_of(file.digest):
            return format_
    return None


def digest_of_folder(folder: Path) -> str:
    """Return the digest that a release lies under."""
    return f"sha256:{folder.resolve().name}"


def _read_manifest(folder: Path) -> Manifest:
    payload = read_json(folder / _MANIFEST).get("payload", "")
    return Manifest.parse(str(payload).encode())


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
