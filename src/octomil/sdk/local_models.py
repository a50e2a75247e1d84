"""Models that run in a client: found, fetched, and loaded once for all who ask."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from octomil.config import Settings
from octomil.engines.catalog import (
    EngineOptions,
    EngineRequest,
    create_engine,
    engine_name,
    find_engine,
)
from octomil.engines.cores import look_at_cores
from octomil.engines.estimates import least_memory_bytes
from octomil.engines.memory import free_memory_bytes
from octomil.models.local import LocalModel
from octomil.sdk.local_engines import LocalEngines
from octomil.sdk.located_model import LocatedModel, ModelFinder

if TYPE_CHECKING:
    from octomil.sdk.model_registry import ModelRegistry

_MIB = 2**20
_CACHE_SHARE = 4  # of the memory that is left beside a model, prompts get one part in so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model as it is asked for.

    Attributes:
        name: of the catalog or the registry, or a reference.
        version: of the registry; None for the latest, or the catalog's.
        engine: what is to run it; None for what suits it best.
    """

    name: str
    version: str | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A model that is loaded, or was and comes back when it is asked.

    Attributes:
        key: what the engines know it by.
        engine: what runs it.
        version: its number, if it is from the registry.
        digest: of its manifest, if it is from the registry, else of its weights; None where
            unknown.
    """

    key: str
    engine: str
    version: str | None
    digest: str | None


class LocalModels:
    """The models of one client; may be used by several threads.

    Args:
        settings: whose cache folder and aliases count.
        registry: opens the control plane's registry.
    """

    def __init__(self, settings: Settings, registry: "Callable[[], ModelRegistry]") -> None:
        self._settings = settings
        self._finder = ModelFinder(settings, registry)
        self.engines = LocalEngines(free_memory_bytes())
        self._known: dict[Wanted, Resident] = {}
        self._residents: dict[str, Resident] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def load(self, wanted: Wanted, cache_size_mb: int) -> Resident:
        """Return a model, found, fetched and loaded unless it is; who comes meanwhile waits.

        Args:
            wanted: the model.
            cache_size_mb: MiB at the most for prompts that it has read before; counts when it is
                loaded first.

        Raises:
            InsufficientSpaceError: it does not fit into memory or on the disk.
            NoEngineError: no engine here runs it, or the one asked for does not.
            MissingDependencyError: its engine needs packages that are not installed.
            OctomilError: it cannot be found, fetched or loaded; the class tells.
        """
        if wanted in self._known:
            return self._known[wanted]
        engine = None if wanted.engine is None else find_engine(wanted.engine)
        located = self._finder.find(wanted.name, wanted.version)
        options = EngineOptions(threads=look_at_cores().granted, cache_mib=0)
        asked = EngineRequest(located.ref, None, options, self._settings, engine)
        key = f"{located.ref} in {engine_name(located.ref, None, engine)}"
        with self._lock_of(key):
            if key not in self._residents:
                self._residents[key] = self._load(key, located, asked, cache_size_mb)
        self._known[wanted] = self._residents[key]
        return self._residents[key]

    def _load(
        self, key: str, located: LocatedModel, asked: EngineRequest, cache_size_mb: int
    ) -> Resident:
        least_bytes = max(located.size_bytes, least_memory_bytes(asked))
        self.engines.require_room(located.ref.name, least_bytes)
        files = None
        if located.fetch is not None and asked.engine != "echo":
            files = located.fetch()
            asked = replace(asked, files=files)
        need_bytes = least_memory_bytes(asked)
        left_mib = max(0, self.engines.budget_bytes - need_bytes) // _MIB
        cache_mib = min(cache_size_mb, left_mib // _CACHE_SHARE)
        engine = create_engine(replace(asked, options=replace(asked.options, cache_mib=cache_mib)))
        self.engines.add(key, engine, need_bytes + cache_mib * _MIB)
        return Resident(
            key=key,
            engine=engine_name(asked.ref, files, asked.engine),
            version=located.version,
            digest=located.digest or _digest_of(files),
        )

    @contextmanager
    def _lock_of(self, key: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            yield

    def close(self) -> None:
        """Unload everything; answers under way end with an `EngineUnavailableError`."""
        self.engines.close()


def _digest_of(files: LocalModel | None) -> str | None:
    digest = None if files is None else files.sha256.get(files.path.name)
    return None if digest is None else f"sha256:{digest}"
