"""What devices attest that they run."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Boolean, Column, Connection, ForeignKey, Index, Table, func, or_, select

from octomil.control.records import Attestation, Rollout
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.device_table import devices
from octomil.control.stores.rollout_devices import HAS_TAKEN, rollout_devices
from octomil.control.stores.schema import metadata, upsert

attestations = Table(
    "attestations",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("model_id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("number", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("message", PLAIN_TEXT),
    Column("attested_at", Moment, nullable=False),
    Column("since", Moment, nullable=False),
    Index("ix_attestations_model_id_digest", "model_id", "digest"),
)

_FIELDS = tuple(Attestation.__dataclass_fields__)


class AttestationRows:
    """What the devices of an organisation attest."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = attestations.c.organisation == organisation
        self._organisation = organisation

    def put(self, attestation: Attestation) -> None:
        """Note one, in place of what the device said before."""
        row = {name: getattr(attestation, name) for name in _FIELDS}
        upsert(self._connection, attestations, row | {"organisation": self._organisation})

    def get(self, device_id: str, model_id: str) -> Attestation | None:
        """Return what a device said last about a model."""
        return self.of_devices(model_id, {device_id}).get(device_id)

    def of_devices(self, model_id: str, device_ids: Collection[str]) -> Mapping[str, Attestation]:
        """Return what devices said last about a model, by their ids."""
        theirs = attestations.c.device_id.in_(device_ids)
        query = select(attestations).where(self._own, attestations.c.model_id == model_id, theirs)
        found = [Attestation(**row) for row in self._connection.execute(query).mappings()]
        return {each.device_id: each for each in found}

    def counts(self, model_id: str, digests: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return how many devices run each of some versions, and how many cannot."""
        about = (attestations.c.model_id == model_id) & attestations.c.digest.in_(digests)
        columns = (attestations.c.digest, attestations.c.is_active)
        query = select(*columns, func.count()).where(self._own, about).group_by(*columns)
        found = {(digest, bool(active)): n for digest, active, n in self._connection.execute(query)}
        return {each: (found.get((each, True), 0), found.get((each, False), 0)) for each in digests}

    def others(
        self, rollout: Rollout, *, since: datetime, seen_until: datetime, silent_before: datetime
    ) -> tuple[int, int]:
        """Return how many devices on other versions came to an end, and how many of these failed.

        See the port for the moments.
        """
        said, seen_at = attestations.c, devices.c.last_seen_at
        took_it = (
            select(rollout_devices.c.device_id)
            .where(
                rollout_devices.c.rollout_id == rollout.id,
                rollout_devices.c.device_id == said.device_id,
                HAS_TAKEN,
            )
            .correlate(attestations)
        )
        ran = said.is_active & (said.since < since) & (seen_at >= since)
        broke = ~said.is_active & (said.since >= since)
        failed = or_(broke, ran & (seen_at < silent_before))
        healthy = ran & (seen_at >= seen_until) & (seen_at >= silent_before)
        query = (
            select(func.count().filter(failed), func.count().filter(healthy))
            .select_from(attestations.join(devices, devices.c.id == said.device_id))
            .where(self._own, said.model_id == rollout.model_id, said.digest != rollout.digest)
            .where(devices.c.deleted_at.is_(None), ~took_it.exists())
        )
        number_failed, number_healthy = self._connection.execute(query).one()
        return number_failed + number_healthy, number_failed
