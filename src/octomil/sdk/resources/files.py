"""The files of versions: uploaded, downloaded."""

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from octomil.config import Settings
from octomil.errors import ConfigurationError, ConflictError, NotFoundError
from octomil.http.api import Request, path_to
from octomil.http.records import Record
from octomil.models.progress import open_progress
from octomil.models.sources.base import ProgressSink, Silent
from octomil.sdk.downloads import Downloader, RemoteFile
from octomil.sdk.resources.base import Resource
from octomil.sdk.uploads import CountedFile, ResumableUpload
from octomil.wire.texts import is_plain_text

RESUMABLE_BYTES = 32 << 20
"""Files from this size on are sent in pieces, so that a break costs one piece and not the file."""

_SIZES = {"input_dim", "hidden_dim", "output_dim"}
_MODEL, _WEIGHTS = "onnx", "onnx_data"
_FORM_S = 900.0  # the server reads the whole file again before it answers


class FileCalls(Resource):
    """What can be done with the files of versions."""

    _show_progress: bool | None = None

    def upload_version_from_path(  # noqa: PLR0913 - the published signature
        self,
        model_id: str,
        file_path: str | Path,
        version: str,
        formats: str | None = None,
        description: str | None = None,
        *,
        architecture: str | None = None,
        input_dim: int | None = None,
        hidden_dim: int | None = None,
        output_dim: int | None = None,
        onnx_data_path: str | Path | None = None,
    ) -> Record:
        """Make a version of a file.

        Args:
            model_id: the model.
            file_path: the file; what it is, is told by its content.
            version: a semantic version, unique in the model.
            formats: names separated by commas; the version is `converting` until there is a file in
                each of them.
            description: for people.
            architecture: how a state dict is built into a model, with the three sizes.
            input_dim: features that go in.
            hidden_dim: width of the hidden layers.
            output_dim: values that come out.
            onnx_data_path: the weights of an ONNX model that has them in a file of their own; a
                version of that model which an earlier call left without them is gone on with, if
                that asked for all of `formats`. What else is said of it stays as it was said then.

        Returns:
            The version, `ready` to be published unless `formats` are missing.

        Raises:
            ConfigurationError: there is no such file.
            ConflictError: the number is taken.
            UnsupportedMediaError: the file is no model that is taken.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        path = _existing(file_path)
        sizes = {"input_dim": input_dim, "hidden_dim": hidden_dim, "output_dim": output_dim}
        fields = {
            "version": version,
            "description": description,
            "formats": formats,
            "architecture": architecture,
            **{name: None if value is None else str(value) for name, value in sizes.items()},
        }
        given = {name: value for name, value in fields.items() if value is not None}
        with self._progress() as progress:
            weights = None if onnx_data_path is None else _existing(onnx_data_path)
            sizes_bytes = [each.stat().st_size for each in (path, weights) if each is not None]
            if max(sizes_bytes) >= RESUMABLE_BYTES:
                return self._upload_in_pieces(model_id, path, weights, given, progress)
            return self._upload_form(model_id, path, weights, given, progress)

    def get_download_url(
        self,
        model_id: str,
        version: str,
        format: str | None = None,  # noqa: A002 - the published name
    ) -> Record:
        """Return where a version's file is to be had for a while, without a key, under `url`.

        Args:
            model_id: the model.
            version: its number.
            format: such as `onnx`; None for the file as it was uploaded.

        Raises:
            NotFoundError: there is no such version, or it has no file in that format.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        path = path_to("models", model_id, "versions", version, "download-url")
        found: Record = self._api.get(path, format=format)
        return found

    def download(
        self,
        model_id: str,
        version: str,
        to: str | Path = ".",
        format: str | None = None,  # noqa: A002 - the published name
    ) -> Path:
        """Bring a version's file here, verified; return where it is.

        It comes to its place by one rename. A download that broke off leaves what arrived beside
        it, and the next call goes on from there.

        Args:
            model_id: the model.
            version: its number.
            to: the file, or the folder to put it in.
            format: such as `onnx`; None for the file as it was uploaded.

        Raises:
            DigestMismatchError: other bytes arrived than the version has.
            InsufficientSpaceError: the disk is full.
            OctomilClientError: as in :meth:`get_download_url`.
        """
        found = self.get_download_url(model_id, version, format)
        target = Path(to)
        if target.is_dir():
            target /= self._file_name(model_id, version, found.format)
        more = (self.get_download_url(model_id, version, found.format) for _ in count())
        links = chain([found], more)
        remote = RemoteFile(
            name=target.name,
            url=lambda: str(next(links).url),
            sha256=found.sha256,
            size_bytes=found.size_bytes,
        )
        with self._progress() as progress:
            return Downloader(self._api, progress.advance).fetch(remote, target)

    def _file_name(self, model_id: str, version: str, format_: str) -> str:
        """Return what a file was called where it came from, if that can be a name here."""
        files = self._api.get(path_to("models", model_id, "versions", version)).files
        file = next((file for file in files if file.format == format_), None)
        if file is None:
            raise NotFoundError(f"version {version} has no file in the format {format_!r}")
        name = PurePosixPath(str(file.name).replace("\\", "/")).name
        may_be_used = is_plain_text(name) and not name.startswith(".") and Path(name).suffix
        is_original = file.origin == "original"
        return name if is_original and may_be_used else f"{version}.{format_}"

    def _upload_in_pieces(
        self,
        model_id: str,
        path: Path,
        weights: Path | None,
        fields: Mapping[str, str],
        progress: ProgressSink,
    ) -> Record:
        notes = Settings.from_env().state_dir / "uploads"
        formats = _names(fields.get("formats", ""))
        upload = ResumableUpload(self._api, path, notes, progress.advance)
        uploads, added = [upload], None
        if weights is not None:
            extra = ResumableUpload(self._api, weights, notes, progress.advance, _WEIGHTS)
            added = {"storage_path": extra.send(), "format": _WEIGHTS, "name": weights.name}
            formats.append(_WEIGHTS)  # so that the version waits for them
            uploads.append(extra)
        body: dict[str, Any] = {
            **fields,
            **{name: int(fields[name]) for name in _SIZES & fields.keys()},
            "storage_path": upload.send(),
            "checksum": upload.sha256,
            "size_bytes": path.stat().st_size,
            "format": None if added is None else _MODEL,
            "formats": formats,
        }
        number = fields["version"]
        try:
            made: Record = self._api.post(path_to("models", model_id, "versions"), body)
        except ConflictError:
            begun = added and self._without_weights(model_id, number, upload.sha256, formats)
            if not begun:
                raise
            made = begun
        if added is not None:
            made = self._api.post(path_to("models", model_id, "versions", number, "files"), added)
        for each in uploads:
            each.forget()
        return made

    def _without_weights(
        self, model_id: str, number: str, sha256: str, formats: Collection[str]
    ) -> Record | None:
        """Return the version of this ONNX model that a call which broke off left half-made.

        None if it waits for less than all of `formats`.
        """
        try:
            version: Record = self._api.get(path_to("models", model_id, "versions", number))
        except NotFoundError:  # the conflict was about something else
            return None
        digests = {each.format: each.digest for each in version.files}
        lacks = set(formats) <= set(version.formats_wanted) and _WEIGHTS not in digests
        return version if lacks and digests.get(_MODEL) == f"sha256:{sha256}" else None

    def _upload_form(
        self,
        model_id: str,
        path: Path,
        weights: Path | None,
        fields: Mapping[str, str],
        progress: ProgressSink,
    ) -> Record:
        parts = {"file": path} if weights is None else {"file": path, _WEIGHTS: weights}
        opened = {name: CountedFile(each, progress.advance) for name, each in parts.items()}
        try:
            request = Request(
                method="POST",
                path=path_to("models", model_id, "versions", "upload"),
                options={
                    "data": fields,
                    "files": {name: (parts[name].name, file) for name, file in opened.items()},
                },
                timeout_s=_FORM_S,
                is_repeatable=False,  # the files are read once
            )
            made: Record = self._api.call(request)
            return made
        finally:
            for file in opened.values():
                file.close()

    @contextmanager
    def _progress(self) -> Iterator[ProgressSink]:
        shown = sys.stderr.isatty() if self._show_progress is None else self._show_progress
        if not shown:
            yield Silent()
            return
        with open_progress() as progress:
            yield progress


def _existing(path: str | Path) -> Path:
    found = Path(path).expanduser()
    if not found.is_file():
        raise ConfigurationError(f"there is no file {str(path)!r}")
    return found


def _names(formats: str) -> list[str]:
    return [name.strip() for name in formats.split(",") if name.strip()]
