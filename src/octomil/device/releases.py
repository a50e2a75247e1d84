"""Releases: whole versions on this device, each under the digest of its manifest, all verified."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from octomil.device.answers import read_answer
from octomil.device.assignments import AcceptedAssignments
from octomil.device.slots import SlotBook
from octomil.device.state import StateFolder
from octomil.device.trust import TrustedKeys
from octomil.errors import DigestMismatchError, InvalidModelFileError, UnexpectedAnswerError
from octomil.http.api import ApiClient, path_to
from octomil.models.partial import read_json, space_errors, write_json
from octomil.registry.manifest import PAYLOAD_TYPE, Manifest, digest_of, hex_of
from octomil.sdk.downloads import Downloader, RemoteFile
from octomil.wire.devices import Assignment
from octomil.wire.versions import ManifestView

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

    Attributes:
        slots: what ran before, and what is on probation.

    Args:
        state: where they are.
        api: the control plane, as this device.
        downloader: fetches files.
    """

    def __init__(self, state: StateFolder, api: ApiClient, downloader: Downloader) -> None:
        self._state = state
        self._api = api
        self._downloader = downloader
        self._keys = TrustedKeys(state, api)
        self._accepted = AcceptedAssignments(state, self._keys)
        self.slots = SlotBook(state)

    def accept(self, wanted: Assignment, device_id: str) -> None:
        """Return if an assignment is to be followed; raises as `AcceptedAssignments.accept`."""
        _hex(wanted.digest)
        self._accepted.accept(wanted, device_id)

    def obtain(
        self,
        model_id: str,
        version: str,
        digest: str,
        *,
        name: str,
        fetching: Callable[[], object] = lambda: None,
    ) -> Release:
        """Return a release, fetched unless it is here whole.

        Args:
            model_id: the model.
            version: the version's number.
            digest: of its manifest.
            name: the model's, which the manifest must have, as it must the number.
            fetching: called before it is fetched.

        Raises:
            DigestMismatchError: what the control plane sends is not what was assigned, or nobody
                whom this device trusts has signed it.
            InvalidModelFileError: what was signed is no manifest.
            InsufficientSpaceError: the disk is full.
            OctomilClientError: the control plane refuses, or does not answer, or what it sends is
                no release.
        """
        here = self._state.releases / _hex(digest)
        if damaged_part(here) is not None:
            fetching()
            here = self._fetch(model_id, version, digest, name)
        _require_same(_read_manifest(here), name, version)
        return self._release(model_id, here)

    def here(self, model_id: str, digest: str) -> Release | None:
        """Return a release that is here whole; None if it is not. Nobody is asked.

        Raises:
            UnexpectedAnswerError: that is no digest.
        """
        folder = self._state.releases / _hex(digest)
        return None if damaged_part(folder) is not None else self._release(model_id, folder)

    def running(self, name: str) -> Release | None:
        """Return the release that ran last of the model of that name, if it is here whole."""
        for model_id, link in self._state.links():
            if _name_in(link) == name and damaged_part(link) is None:
                return self._release(model_id, link.resolve())
        return None

    def _release(self, model_id: str, folder: Path) -> Release:
        manifest = _read_manifest(folder)
        return Release(
            model_id=model_id,
            version=manifest.version,
            digest=digest_of_folder(folder),
            folder=folder,
            files={format_: folder / format_ for format_ in manifest.files},
        )

    def keep_only(self, in_use: set[str]) -> None:
        """Delete every release but those in use and, of each model, the last and the one before.

        The last is what was assigned last, unless it was tried and taken back. What is assigned
        goes by what was signed, so that no answer that was changed on the way, or that leaves
        something out, deletes anything.

        Raises:
            DataFolderError: what was assigned cannot be told any more.
        """
        assigned = self._accepted.digests() - self.slots.rejected()
        wanted = assigned | self.slots.previous() | in_use
        self._state.remove_all_but({_hex(digest) for digest in wanted})

    def make_room(self, model_id: str, in_use: set[str]) -> bool:
        """Delete what ran before of a model, and return whether there was such a release.

        It goes before the book says so: on a full disk nothing can be written.
        """
        previous = self.slots.of(model_id).previous
        if previous is None or previous in in_use:
            return False
        self._state.remove(_hex(previous))
        self.slots.forget_previous(model_id)
        return True

    def _fetch(self, model_id: str, version: str, digest: str, name: str) -> Path:
        envelope = self._api.get(path_to("models", model_id, "versions", version, "manifest"))
        payload = self._verified_payload(envelope, digest)
        try:
            manifest = Manifest.parse(payload)
        except ValueError as error:
            raise InvalidModelFileError(f"{digest} is signed and no manifest: {error}") from error
        _require_same(manifest, name, version)
        folder = self._state.incoming(hex_of(digest))
        with space_errors(self._state.path):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / _MANIFEST, {"payload": payload.decode()})
        for format_, file in manifest.files.items():
            remote = RemoteFile(
                name=format_,
                url=partial(self._link, model_id, version, format_),
                sha256=hex_of(file.digest),
                size_bytes=file.size,
            )
            self._downloader.fetch(remote, folder / format_)
        return self._state.install(hex_of(digest))

    def _link(self, model_id: str, version: str, format_: str) -> str:
        """Return where a file can be had for a while."""
        where = path_to("models", model_id, "versions", version, "download-url")
        answer = self._api.get(where, format=format_)
        try:
            return str(answer["url"])
        except (KeyError, TypeError) as error:
            raise UnexpectedAnswerError(f"this is no download-url: {answer!r:.200}") from error

    def _verified_payload(self, envelope: Any, digest: str) -> bytes:
        """Return the manifest's bytes, if they are what was assigned and are signed."""
        shown = read_answer(envelope, ManifestView, "a manifest")
        try:
            payload = base64.b64decode(shown.payload, validate=True)
            signatures = {
                each.keyid: base64.b64decode(each.sig, validate=True) for each in shown.signatures
            }
        except ValueError as error:
            raise UnexpectedAnswerError(f"the manifest is in no DSSE envelope: {error}") from error
        if digest_of(payload) != digest:
            raise DigestMismatchError(
                f"the manifest that was assigned is {digest}, and {digest_of(payload)} was sent"
            )
        self._keys.require_signed(
            PAYLOAD_TYPE, payload, signatures, f"the manifest {digest}", is_pinned=True
        )
        return payload


def _hex(digest: str) -> str:
    """Return a digest's hexadecimal digits.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    try:
        return hex_of(digest)
    except ValueError as error:
        raise UnexpectedAnswerError(f"what was assigned has no digest: {error}") from error


def _require_same(manifest: Manifest, name: str, version: str) -> None:
    """Return if a manifest is of the version that was assigned.

    Raises:
        DigestMismatchError: it is of another model, or of another version.
    """
    if (manifest.name, manifest.version) != (name, version):
        raise DigestMismatchError(
            f"{name} {version} was assigned, and the manifest is of {manifest.name} "
            f"{manifest.version}"
        )


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


def _name_in(folder: Path) -> str | None:
    """Return the name of the model whose release this is; None if there is no telling."""
    try:
        return _read_manifest(folder).name
    except (OSError, ValueError):
        return None


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
