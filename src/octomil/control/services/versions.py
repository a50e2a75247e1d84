"""Versions of models: begun, filled with files, measured, retired."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from octomil.control.identifiers import new_id
from octomil.control.moments import shown, shown_or_none
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Model, Version, VersionFile
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.events import announce
from octomil.control.services.lineage import put_parents
from octomil.control.services.lookup import held_model, held_version, require_model, require_version
from octomil.control.services.merging import merged
from octomil.control.services.needs import check_not_needed, check_not_rolling_out
from octomil.convert.formats import FILE_FORMATS
from octomil.errors import BadRequestError, ConflictError, NotFoundError
from octomil.registry.lifecycle import TransitionError, VersionState, follow, state_of_files
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.registry.semver import SemVer
from octomil.wire.versions import FileView, VersionCreation, VersionView


class VersionService:
    """What can be done with versions, publishing them aside.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(self, caller: Caller, model_id: str, creation: VersionCreation) -> Version:
        """Begin a version; its files follow by `add_file`.

        A model that nobody has described has the architecture of its first version that has one.

        Raises:
            ForbiddenError: the caller lacks the scope.
            BadRequestError: the number is no semantic version, or a format is not known.
            NotFoundError: there is no such model, or a parent is not there.
            ConflictError: the number is taken, perhaps by a version that was published and removed.
            PayloadTooLargeError: the metrics are too large.
        """
        caller.require(MODELS_WRITE)
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            if creation.parents:
                tx.lineage.hold()
            model, number = held_model(tx, model_id), _number(creation.version)
            version = Version(
                id=new_id("ver", now),
                organisation=tx.organisation,
                model_id=model.id,
                number=number,
                state=state_of_files((), creation.formats),
                description=creation.description,
                formats_wanted=_known_formats(creation.formats),
                architecture=_architecture(creation),
                metrics=merged("metrics", {}, creation.metrics or {}),
                created_at=now,
                updated_at=now,
            )
            if not tx.versions.add(version):
                raise _taken(tx, model, number)
            if creation.parents:
                put_parents(tx, version, creation.parents)
            if version.architecture is not None and model.architecture is None:
                tx.models.update(model.id, {"architecture": version.architecture}, now)
            self._note(tx, caller, "version.create", version)
        return version

    def get(self, caller: Caller, model_id: str, number: str) -> Version:
        """Return a version.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is none.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return require_version(tx, model_id, number)

    def latest(self, caller: Caller, model_id: str) -> Version:
        """Return the published version of highest precedence, pre-releases left out.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is none.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            model = require_model(tx, model_id)
            version = tx.versions.latest(model.id)
        if version is None:
            raise NotFoundError(f"no release of the model {model.name!r} is published yet")
        return version

    def list(
        self,
        caller: Caller,
        model_id: str,
        *,
        state: VersionState | None,
        limit: int,
        offset: int,
    ) -> Sequence[Version]:
        """Return versions, newest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            model = require_model(tx, model_id)
            return tx.versions.list(model.id, state=state, limit=limit, offset=offset)

    def add_file(self, caller: Caller, model_id: str, number: str, file: VersionFile) -> Version:
        """Add a file, whose blob is kept already; the last one wanted makes the version ready.

        The same file once more changes nothing, so that this may be tried again.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: the version is frozen or has failed, or has another file in that format.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            present = version.file(file.format)
            if present is not None and present.digest == file.digest:
                return version
            _check_takes_files(version)
            if present is not None:
                raise ConflictError(
                    f"the version {number} has another file in the format {file.format!r} "
                    f"({DIGEST_PREFIX}{present.digest}); make another version"
                )
            tx.versions.add_file(version.id, file)
            files = tuple(sorted((*version.files, file), key=lambda each: each.format))
            state = state_of_files([each.format for each in files], version.formats_wanted)
            filled = replace(version, files=files)
            details = {"format": file.format, "digest": DIGEST_PREFIX + file.digest}
            return self._change(tx, caller, filled, "version.add_file", details, state=state)

    def fail(self, caller: Caller, model_id: str, number: str, reason: str) -> Version:
        """Give a version up that cannot become ready.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: it is published.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            if version.state is VersionState.FAILED:
                return version
            state = followed(version, VersionState.FAILED, "fail")
            details = {"reason": reason}
            return self._change(
                tx, caller, version, "version.fail", details, state=state, failure=reason
            )

    def put_metrics(
        self, caller: Caller, model_id: str, number: str, metrics: Mapping[str, Any]
    ) -> Version:
        """Add to what was measured of a version; that may go on after it is published.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            PayloadTooLargeError: there would be too much of it.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            known = merged("metrics", version.metrics, metrics)
            details = {"names": sorted(metrics)}
            return self._change(tx, caller, version, "version.measure", details, metrics=known)

    def deprecate(self, caller: Caller, model_id: str, number: str) -> Version:
        """Take a published version out of use; whoever has it keeps it.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: it is not published, or a rollout of it is under way.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            if version.state is VersionState.DEPRECATED:
                return version
            state = followed(version, VersionState.DEPRECATED, "be deprecated")
            check_not_rolling_out(tx, version)
            now = self._clock()
            data = {"model_id": model_id, "version": number, "digest": digest_text(version)}
            announce(tx, "version.deprecated", model_id, data, now)
            return self._change(
                tx, caller, version, "version.deprecate", {}, state=state, deprecated_at=now
            )

    def delete(self, caller: Caller, model_id: str, number: str) -> Version:
        """Remove a version; the number of one that was published is never given again.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: somebody needs it.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            tx.lineage.hold()
            version = held_version(tx, model_id, number)
            check_not_needed(tx, version)
            tx.lineage.set_parents(version.id, ())
            tx.versions.delete(version.id, self._clock())
            self._note(tx, caller, "version.delete", version)
        return version

    def _change(
        self,
        tx: Transaction,
        caller: Caller,
        version: Version,
        operation: str,
        details: Mapping[str, Any],
        **changes: Any,
    ) -> Version:
        now = self._clock()
        tx.versions.update(version.id, changes, now)
        self._note(tx, caller, operation, version, **details)
        return replace(version, **changes, updated_at=now)

    def _note(
        self, tx: Transaction, caller: Caller, operation: str, version: Version, **details: Any
    ) -> None:
        told = {"model": version.model_id, "version": version.number, **details}
        act = Act(actor=caller.actor, operation=operation, target=version.id, details=told)
        tx.audit.append(act, self._clock())


def followed(version: Version, wanted: VersionState, verb: str) -> VersionState:
    """Return the state that a version is to have, if it may.

    Raises:
        ConflictError: it may not.
    """
    try:
        return follow(version.state, wanted)
    except TransitionError as error:
        message = f"the version {version.number} cannot {verb}: {error}"
        raise ConflictError(message, {"status": version.state.value}) from None


def digest_text(version: Version) -> str | None:
    """Return a version's digest as the API shows it."""
    return None if version.digest is None else DIGEST_PREFIX + version.digest


def waiting_note(version: Version) -> str | None:
    """Return what a version waits for, and how that comes; None if it does not wait."""
    if version.state is not VersionState.CONVERTING:
        return None
    present = {file.format for file in version.files}
    missing = ", ".join(sorted(set(version.formats_wanted) - present))
    return (
        f"it is still converting, and lacks {missing}. The control plane makes safetensors of a "
        "state dict that it can load, and converts nothing else yet: convert the model where it "
        "was made and add the file (POST …/versions/VERSION/files), or make a version without "
        "these formats"
    )


def view_of(version: Version) -> VersionView:
    """Return a version as the API shows it."""
    return VersionView(
        id=version.id,
        model_id=version.model_id,
        version=version.number,
        status=version.state.value,
        failure=version.failure,
        description=version.description,
        formats=[file.format for file in version.files],
        formats_wanted=list(version.formats_wanted),
        note=waiting_note(version),
        architecture=None if version.architecture is None else dict(version.architecture),
        files=[_file_view(file) for file in version.files],
        metrics=dict(version.metrics),
        digest=digest_text(version),
        created_at=shown(version.created_at),
        updated_at=shown(version.updated_at),
        published_at=shown_or_none(version.published_at),
        deprecated_at=shown_or_none(version.deprecated_at),
    )


def _file_view(file: VersionFile) -> FileView:
    return FileView(
        format=file.format,
        digest=DIGEST_PREFIX + file.digest,
        size_bytes=file.size_bytes,
        origin=file.origin,
        name=file.name,
    )


def _number(text: str) -> str:
    try:
        return str(SemVer.parse(text))
    except ValueError as error:
        raise BadRequestError(f"version: {error}") from None


def _known_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return formats, each once.

    Raises:
        BadRequestError: nothing is ever of one of them, so that the version could never be ready.
    """
    for name in names:
        if name not in FILE_FORMATS:
            near = get_close_matches(name, FILE_FORMATS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"write {', '.join(FILE_FORMATS)}"
            raise BadRequestError(
                f"formats: {name!r} is no format; {hint}", {"formats": list(FILE_FORMATS)}
            )
    return tuple(dict.fromkeys(names))


def _architecture(creation: VersionCreation) -> dict[str, Any] | None:
    said = {
        "name": creation.architecture,
        "input_dim": creation.input_dim,
        "hidden_dim": creation.hidden_dim,
        "output_dim": creation.output_dim,
    }
    return {name: value for name, value in said.items() if value is not None} or None


def _taken(tx: Transaction, model: Model, number: str) -> ConflictError:
    if tx.versions.find(model.id, number) is None:
        return ConflictError(
            f"{number} of the model {model.name!r} was published and removed; a number is never "
            "given again"
        )
    return ConflictError(f"the model {model.name!r} has a version {number} already")


def _check_takes_files(version: Version) -> None:
    if version.state.is_frozen:
        raise ConflictError(
            f"the version {version.number} is {version.state.value}, and its files never change; "
            "make another version"
        )
    if version.state is VersionState.FAILED:
        raise ConflictError(f"the version {version.number} failed; make another version")
