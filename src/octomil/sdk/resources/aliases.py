"""Aliases: names such as `production` that point at versions."""

from collections.abc import Sequence

from octomil.http.api import path_to
from octomil.http.records import Record
from octomil.sdk.resources.base import Resource


class AliasCalls(Resource):
    """What can be done with aliases."""

    def list_aliases(self, model_id: str) -> Sequence[Record]:
        """Return where each name of a model points.

        Raises:
            NotFoundError: there is no such model.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        found: Sequence[Record] = self._api.get(path_to("models", model_id, "aliases")).aliases
        return found

    def get_alias(self, model_id: str, alias: str, at: str | None = None) -> Record:
        """Return where a name points, or pointed at a moment.

        Args:
            model_id: the model.
            alias: such as `production`.
            at: a moment, RFC 3339; None for now.

        Raises:
            NotFoundError: there is no such name, or there was none then.
            OctomilClientError: as in :meth:`list_aliases`.
        """
        found: Record = self._api.get(path_to("models", model_id, "aliases", alias), at=at)
        return found

    def set_alias(
        self, model_id: str, alias: str, version: str, expected_revision: int | None = None
    ) -> Record:
        """Point a name at a published version.

        Args:
            model_id: the model.
            alias: such as `production`.
            version: where it is to point.
            expected_revision: move it only if it still has this revision, 0 for a new name; None
                to move it whatever it has.

        Raises:
            ConflictError: somebody else moved it, or the version is not published.
            OctomilClientError: as in :meth:`get_alias`.
        """
        body = {"version": version, "expected_revision": expected_revision}
        moved: Record = self._api.put(path_to("models", model_id, "aliases", alias), body)
        return moved

    def delete_alias(self, model_id: str, alias: str) -> Record:
        """Take a name away; its history stays. Raises as :meth:`get_alias` does."""
        done: Record = self._api.delete(path_to("models", model_id, "aliases", alias))
        return done

    def get_alias_history(self, model_id: str, alias: str) -> Sequence[Record]:
        """Return where a name pointed, newest first. Raises as :meth:`get_alias` does."""
        path = path_to("models", model_id, "aliases", alias, "history")
        found: Sequence[Record] = self._api.get(path).history
        return found
