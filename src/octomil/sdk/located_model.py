"""Finding a model by name: here or in the catalog, else in the control plane's registry."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octomil.config import Settings
from octomil.errors import NoEngineError, NotFoundError, UnknownModelError
from octomil.models.local import LocalModel, describe_file
from octomil.models.progress import open_progress
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference
from octomil.sdk.references import VersionReference, find_version

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry

_LATEST = "latest"
_FORMAT = "gguf"  # what engines run of a registry's single files


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedModel:
    """A model that can be had; its files may not be here yet.

    Attributes:
        ref: what it is.
        fetch: brings its files here, verified, and blocks meanwhile; None for a model without.
        size_bytes: of its files; 0 where unknown.
        version: its number, if it is from the registry.
        digest: of its manifest, if it is from the registry and published.
    """

    ref: ModelRef
    fetch: Callable[[], LocalModel] | None
    size_bytes: int = 0
    version: str | None = None
    digest: str | None = None


class ModelFinder:
    """Finds models.

    Args:
        settings: whose cache folder and aliases count.
        registry: opens the control plane's registry; called when a model is not found without.
    """

    def __init__(self, settings: Settings, registry: "Callable[[], ModelRegistry]") -> None:
        self._settings = settings
        self._registry = registry

    def find(self, name: str, version: str | None = None) -> LocatedModel:
        """Find a model; nothing is fetched yet.

        Args:
            name: of the catalog, an alias, a path or another reference; else a name of the
                registry, to which `@1.2.0` or `@production` may be appended.
            version: of the registry: a number, or an alias. None for the catalog's model, or the
                registry's latest published version.

        Raises:
            UnknownModelError: neither knows it.
            NoEngineError: the registry has it in formats that no engine here runs.
            NotFoundError: the registry has no such version.
            ConfigurationError: the name, or an alias, is malformed.
            OctomilClientError: the registry cannot be asked.
        """
        if version is not None:
            return self._in_registry(name, version)
        try:
            ref = parse_reference(name, self._settings.model_aliases)
        except UnknownModelError as unknown:
            try:
                return self._in_registry(name, None)
            except NotFoundError as error:
                raise UnknownModelError(f"{unknown}; {error}") from error
        if ref.kind == "registry":
            return self._in_registry(ref.target, ref.revision)
        return LocatedModel(ref=ref, fetch=(lambda: self._pull(ref)) if ref.has_files else None)

    def _pull(self, ref: ModelRef) -> LocalModel:
        shown = open_progress() if sys.stderr.isatty() else nullcontext(None)
        with shown as progress:
            return ModelStore(self._settings).pull(ref, progress)

    def _in_registry(self, name: str, version: str | None) -> LocatedModel:
        wanted = "" if version in {None, _LATEST} else f"@{str(version).removeprefix('@')}"
        reference = VersionReference.parse(name + wanted)
        with self._registry() as registry:
            model, number = find_version(registry, reference)
            found = registry.get_version(model.id, number)
        file = next((each for each in found.files if each.format == _FORMAT), None)
        if file is None:
            has = ", ".join(each.format for each in found.files) or "no file"
            raise NoEngineError(
                f"version {number} of {reference.name!r} has {has}, and engines here run "
                f"{_FORMAT} from the registry; push it in that format, too"
            )
        ref = ModelRef(kind="registry", name=reference.name, target=reference.name, revision=number)

        def fetch() -> LocalModel:
            folder = self._settings.cache_dir / "registry" / file.digest.rpartition(":")[2]
            folder.mkdir(parents=True, exist_ok=True)
            with self._registry() as registry:
                return describe_file(ref, registry.download(model.id, number, folder, _FORMAT))

        return LocatedModel(
            ref=ref,
            fetch=fetch,
            size_bytes=file.size_bytes,
            version=number,
            digest=found.get("digest"),
        )
