"""Publishing: freezing a version, and signing what it is from then on."""

import base64
import json
from dataclasses import replace
from datetime import datetime

from octomil.control.moments import shown
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Model, SignedManifest, Version
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.events import announce
from octomil.control.services.lookup import held_version, require_model, require_version
from octomil.control.services.signing_keys import current_key
from octomil.control.services.versions import digest_text, followed, waiting_note
from octomil.errors import ConflictError
from octomil.registry.lifecycle import VersionState
from octomil.registry.manifest import (
    DIGEST_PREFIX,
    PAYLOAD_TYPE,
    Manifest,
    ManifestFile,
    ManifestParent,
    digest_of,
    hex_of,
)
from octomil.registry.signatures import sign
from octomil.wire.versions import ManifestView, SignatureView


class PublicationService:
    """Publishes versions, and shows what they were published as.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def publish(self, caller: Caller, model_id: str, number: str) -> Version:
        """Freeze a version and sign its manifest; one that is published already stays as it is.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: it is not ready, or comes from a version that is not published.
        """
        caller.require(MODELS_WRITE)
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            if version.state is VersionState.PUBLISHED:
                return version
            if (note := waiting_note(version)) is not None:
                raise ConflictError(
                    f"the version {number} cannot be published: {note}",
                    {"status": version.state.value},
                )
            state = followed(version, VersionState.PUBLISHED, "be published")
            model = require_model(tx, model_id)
            payload = _manifest(tx, model, version).payload()
            tx.versions.put_manifest(version.id, _signed(tx, payload, now))
            changes = {"state": state, "digest": hex_of(digest_of(payload)), "published_at": now}
            tx.versions.update(version.id, changes, now)
            published = replace(
                version, state=state, digest=hex_of(digest_of(payload)), published_at=now,
                updated_at=now,
            )  # fmt: skip
            told = {"model_id": model.id, "version": number, "digest": digest_text(published)}
            announce(tx, "version.published", model.id, {"model": model.name, **told}, now)
            tx.audit.append(
                Act(
                    actor=caller.actor,
                    operation="version.publish",
                    target=version.id,
                    details={"model": model.id, "version": number, "digest": told["digest"]},
                ),
                now,
            )
        return published

    def manifest(self, caller: Caller, model_id: str, number: str) -> ManifestView:
        """Return what a version was published as.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
            ConflictError: it is not published yet.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            version = require_version(tx, model_id, number)
            signed = tx.versions.manifest(version.id)
        if signed is None:
            raise ConflictError(
                f"the version {number} is {version.state.value}; it has a manifest once it is "
                "published"
            )
        return ManifestView(
            digest=digest_of(signed.payload),
            manifest=json.loads(signed.payload),
            payloadType=PAYLOAD_TYPE,
            payload=_base64(signed.payload),
            signatures=[SignatureView(keyid=signed.key_id, sig=_base64(signed.signature))],
        )


def _signed(tx: Transaction, payload: bytes, now: datetime) -> SignedManifest:
    key = current_key(tx, now)
    signature = sign(key.private, PAYLOAD_TYPE, payload)
    return SignedManifest(payload=payload, key_id=key.id, signature=signature)


def _manifest(tx: Transaction, model: Model, version: Version) -> Manifest:
    """Return what a version is to be published as.

    Raises:
        ConflictError: it comes from a version that is not published.
    """
    return Manifest(
        name=model.name,
        version=version.number,
        files={
            file.format: ManifestFile(digest=DIGEST_PREFIX + file.digest, size=file.size_bytes)
            for file in version.files
        },
        lineage=tuple(_parents(tx, version)),
        created=shown(version.created_at),
    )


def _parents(tx: Transaction, version: Version) -> list[ManifestParent]:
    ids = tx.lineage.parents_of(version.id)
    found = tx.versions.get_all(ids)
    names = tx.models.names({parent.model_id for parent in found.values()})
    parents = []
    for parent in (found[each] for each in ids):
        digest = digest_text(parent)
        if digest is None:
            raise ConflictError(
                f"the version {version.number} comes from {parent.number} of "
                f"{names[parent.model_id]!r}, which is not published; publish that first"
            )
        parents.append(
            ManifestParent(name=names[parent.model_id], version=parent.number, digest=digest)
        )
    return parents


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
