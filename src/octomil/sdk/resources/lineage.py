"""Lineage: which versions come from which."""

from collections.abc import Iterable, Sequence

from octomil.http.api import path_to
from octomil.http.records import Record
from octomil.sdk.resources.base import Resource

Parent = tuple[str, str]
"""A version, by the id of its model and its number."""


class LineageCalls(Resource):
    """What can be asked and said about where versions come from."""

    def set_parents(self, model_id: str, version: str, parents: Iterable[Parent]) -> Record:
        """Say which versions one comes from, in place of what was said before; return it.

        Args:
            model_id: the model.
            version: its number; once it is published, its lineage never changes.
            parents: the id of a model and a number each; none at all takes what was said away.

        Raises:
            ConflictError: the version is published, or would come from itself.
            NotFoundError: one of the versions is not there.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        path = path_to("models", model_id, "versions", version, "parents")
        changed: Record = self._api.put(path, {"parents": parents_body(parents)})
        return changed

    def get_ancestors(self, model_id: str, version: str) -> Sequence[Record]:
        """Return the versions that one comes from, nearest first.

        Raises:
            NotFoundError: there is no such version.
            OctomilClientError: as in :meth:`set_parents`.
        """
        path = path_to("models", model_id, "versions", version, "ancestors")
        found: Sequence[Record] = self._api.get(path).versions
        return found

    def get_descendants(self, model_id: str, version: str) -> Sequence[Record]:
        """Return the versions that come from one, nearest first. Raises as `get_ancestors`."""
        path = path_to("models", model_id, "versions", version, "descendants")
        found: Sequence[Record] = self._api.get(path).versions
        return found


def parents_body(parents: Iterable[Parent]) -> list[dict[str, str]]:
    """Return versions as the API names them."""
    return [{"model_id": model_id, "version": version} for model_id, version in parents]
