"""Models, their versions, their lineage, and the names that point at versions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from octomil.control.records import Alias, ManifestKey, Model, SignedManifest, Version, VersionFile
from octomil.registry.lifecycle import VersionState


class Models(Protocol):
    """The models of an organisation."""

    def add(self, model: Model) -> bool:
        """Add a model; return False, and change nothing, if its name is taken."""

    def get(self, model_id: str) -> Model | None:
        """Return a model by its id."""

    def hold(self, model_id: str) -> Model | None:
        """Return a model that nobody else can change or delete before the transaction ends."""

    def find(self, name: str) -> Model | None:
        """Return a model by its name."""

    def list(self, *, filters: Mapping[str, str], limit: int, offset: int = 0) -> Sequence[Model]:
        """Return models in the order of their names.

        Args:
            filters: what `name`, `framework` or `use_case` must be.
            limit: how many at most.
            offset: how many to leave out at the beginning.
        """

    def names(self, model_ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of some models, by their ids."""

    def update(self, model_id: str, changes: Mapping[str, Any], now: datetime) -> None:
        """Replace some of what is known about a model, by the names of the record."""

    def delete(self, model_id: str) -> None:
        """Remove a model, of which nothing else may be left."""


class Versions(Protocol):
    """The versions of an organisation's models, with their files."""

    def add(self, version: Version) -> bool:
        """Add a version without files; return False, and change nothing, if its number is taken.

        The number of a version that was published is taken for ever, even if that was deleted.
        """

    def get(self, version_id: str) -> Version | None:
        """Return a version by its id."""

    def get_all(self, version_ids: Sequence[str]) -> Mapping[str, Version]:
        """Return those of some versions that there are, by their ids."""

    def find(self, model_id: str, number: str) -> Version | None:
        """Return a model's version by its number."""

    def hold(self, model_id: str, number: str) -> Version | None:
        """Return a version that nobody else can change before the transaction ends."""

    def latest(self, model_id: str) -> Version | None:
        """Return the published version of highest precedence, pre-releases left out."""

    def list(
        self, model_id: str, *, state: VersionState | None, limit: int, offset: int = 0
    ) -> Sequence[Version]:
        """Return versions, newest first.

        Args:
            model_id: whose.
            state: only those in this state, unless None.
            limit: how many at most.
            offset: how many to leave out at the beginning.
        """

    def add_file(self, version_id: str, file: VersionFile) -> bool:
        """Add a file; return False, and change nothing, if there is one in that format."""

    def update(self, version_id: str, changes: Mapping[str, Any], now: datetime) -> None:
        """Replace some of what is known about a version, by the names of the record."""

    def delete(self, version_id: str, now: datetime) -> None:
        """Remove a version; of one that was published the number and the manifest stay."""

    def delete_all(self, model_id: str) -> None:
        """Remove every version of a model, and what is left of those that were deleted."""

    def put_manifest(self, version_id: str, manifest: SignedManifest) -> None:
        """Keep what a version is published as."""

    def manifest(self, version_id: str) -> SignedManifest | None:
        """Return what a version was published as."""


class Lineage(Protocol):
    """Which versions of an organisation come from which: a directed acyclic graph."""

    def hold(self) -> None:
        """Let nobody else change the lineage before the transaction ends."""

    def set_parents(self, version_id: str, parents: Sequence[str]) -> None:
        """Say which versions one comes from, in place of what was said before."""

    def parents_of(self, version_id: str) -> Sequence[str]:
        """Return the ids of the versions that one comes from, in their order."""

    def children_of(self, version_id: str) -> Sequence[str]:
        """Return the ids of the versions that come from one, in their order."""

    def ancestry(self, version_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the parents of some versions and of all their ancestors, by their ids."""

    def progeny(self, version_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the children of some versions and of all their descendants, by their ids."""

    def foreign_children(self, model_id: str) -> Sequence[str]:
        """Return the ids of the versions of other models that come from a model's."""

    def delete_all(self, model_id: str) -> None:
        """Forget what the versions of a model come from."""


class Aliases(Protocol):
    """The names that point at versions of an organisation's models."""

    def get(self, model_id: str, name: str) -> Alias | None:
        """Return where a name points; None if it never did."""

    def list(self, model_id: str) -> Sequence[Alias]:
        """Return where each name of a model points, in their order."""

    def of_version(self, version_id: str) -> Sequence[str]:
        """Return the names that point at a version."""

    def move(self, alias: Alias) -> bool:
        """Take a step from the revision before; return False if somebody else took it."""

    def history(self, model_id: str, name: str, *, limit: int, offset: int = 0) -> Sequence[Alias]:
        """Return the steps of a name, newest first."""

    def at(self, model_id: str, name: str, moment: datetime) -> Alias | None:
        """Return where a name pointed at a moment; None if that was before its first step."""

    def delete_all(self, model_id: str) -> None:
        """Forget every name of a model."""


class ManifestKeys(Protocol):
    """The keys that an organisation signs manifests with."""

    def add(self, key: ManifestKey) -> bool:
        """Add the key that signs; return False, and change nothing, if there is one already."""

    def retire(self, key_id: str, now: datetime) -> bool:
        """Let a key sign no more, and forget its private part; False if it does not sign."""

    def current(self) -> ManifestKey | None:
        """Return the key that signs."""

    def list(self) -> Sequence[ManifestKey]:
        """Return all keys, oldest first, those that sign no more too."""
