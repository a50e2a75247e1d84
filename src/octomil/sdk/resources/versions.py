"""Versions of models: listed, made, published, deprecated."""

from collections.abc import Iterable, Mapping
from typing import Any

from octomil.http.api import path_to
from octomil.http.records import Record
from octomil.sdk.resources.base import Resource, field_of
from octomil.sdk.resources.lineage import Parent, parents_body


class VersionCalls(Resource):
    """What can be done with versions."""

    def list_versions(
        self, model_id: str, status: str | None = None, limit: int = 100, offset: int = 0
    ) -> Record:
        """Return a model's versions, newest first, under `versions`.

        Raises:
            NotFoundError: there is no such model.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        found: Record = self._api.get(
            path_to("models", model_id, "versions"), status=status, limit=limit, offset=offset
        )
        return found

    def get_latest_version(self, model_id: str) -> str:
        """Return the number of the newest published version, by semver.

        Raises:
            NotFoundError: there is no such model, or nothing of it is published.
            OctomilClientError: as in :meth:`list_versions`.
        """
        return field_of(self._api.get(path_to("models", model_id, "versions", "latest")), "version")

    def get_version(self, model_id: str, version: str) -> Record:
        """Return a version.

        Raises:
            NotFoundError: there is none of that number.
            OctomilClientError: as in :meth:`list_versions`.
        """
        found: Record = self._api.get(_path(model_id, version))
        return found

    def create_version(  # noqa: PLR0913 - the published signature
        self,
        model_id: str,
        version: str,
        storage_path: str,
        format: str,  # noqa: A002 - the published name
        checksum: str,
        size_bytes: int,
        description: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        parents: Iterable[Parent] | None = None,
    ) -> Record:
        """Make a version of a file that the control plane has already.

        Args:
            model_id: the model.
            version: its number, by semver.
            storage_path: where the control plane has the file.
            format: such as `onnx`.
            checksum: SHA-256 of the file, in hexadecimal digits.
            size_bytes: of the file.
            description: for people.
            metrics: such as `{"accuracy": 0.97}`.
            parents: the versions that it comes from, as in `set_parents`.

        Raises:
            ConflictError: the number is taken.
            NotFoundError: there is no such model, file or parent.
            OctomilClientError: as in :meth:`get_version`.
        """
        body: dict[str, Any] = {
            "version": version,
            "storage_path": storage_path,
            "format": format,
            "checksum": checksum,
            "size_bytes": size_bytes,
        }
        listed = None if parents is None else parents_body(parents)
        more = {"description": description, "metrics": metrics, "parents": listed}
        body |= {name: value for name, value in more.items() if value is not None}
        made: Record = self._api.post(path_to("models", model_id, "versions"), body)
        return made

    def publish_version(self, model_id: str, version: str) -> Record:
        """Publish a version; from then on it cannot change.

        Raises:
            ConflictError: it is still being converted, has failed, or is deprecated.
            OctomilClientError: as in :meth:`get_version`.
        """
        published: Record = self._api.post(_path(model_id, version, "publish"), {})
        return published

    def deprecate_version(self, model_id: str, version: str) -> Record:
        """Withdraw a version from `latest`; those who run it keep it.

        Raises:
            ConflictError: it was never published.
            OctomilClientError: as in :meth:`get_version`.
        """
        deprecated: Record = self._api.post(_path(model_id, version, "deprecate"), {})
        return deprecated

    def fail_version(self, model_id: str, version: str, reason: str) -> Record:
        """Give a version up that cannot become ready, such as where its conversion failed.

        Raises:
            ConflictError: it is published.
            OctomilClientError: as in :meth:`get_version`.
        """
        failed: Record = self._api.post(_path(model_id, version, "fail"), {"reason": reason})
        return failed

    def update_version_metrics(
        self, model_id: str, version: str, metrics: Mapping[str, Any]
    ) -> Record:
        """Note how well a version does; the only thing that may change after it is published.

        Raises:
            OctomilClientError: as in :meth:`get_version`.
        """
        changed: Record = self._api.patch(_path(model_id, version, "metrics"), {"metrics": metrics})
        return changed

    def delete_version(self, model_id: str, version: str) -> Record:
        """Delete a version.

        Raises:
            ConflictError: an alias or a rollout needs it.
            OctomilClientError: as in :meth:`get_version`.
        """
        done: Record = self._api.delete(_path(model_id, version))
        return done

    def get_manifest(self, model_id: str, version: str) -> Record:
        """Return what a version consists of, with its digest and the server's signature.

        Raises:
            OctomilClientError: as in :meth:`get_version`.
        """
        manifest: Record = self._api.get(_path(model_id, version, "manifest"))
        return manifest


def _path(model_id: str, version: str, *more: str) -> str:
    return path_to("models", model_id, "versions", version, *more)
