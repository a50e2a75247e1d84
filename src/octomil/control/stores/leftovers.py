"""Dropping rows that have ended, of whichever organisation, a few at a time."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, or_, select, tuple_

from octomil.control.stores.api_keys import api_keys
from octomil.control.stores.bootstrap_tokens import bootstrap_tokens
from octomil.control.stores.idempotency import idempotency_keys
from octomil.control.stores.outbox import deliveries
from octomil.control.stores.quality import (
    quality_claims,
    quality_stretches,
    quality_subjects,
)
from octomil.control.stores.rollout_devices import rollout_devices
from octomil.control.stores.rollouts import ended_before, rollouts
from octomil.control.stores.routing_series import routing_series, routing_spools
from octomil.control.stores.tokens import token_families
from octomil.control.stores.usage import rollout_usage

_younger = api_keys.alias("younger")


class LeftoverRows:
    """Rows of all organisations that nobody asks for any more."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def drop_answers(self, before: datetime, limit: int) -> int:
        """Drop the answers to requests that came before a moment, with their keys."""
        return self._drop(idempotency_keys, idempotency_keys.c.created_at < before, limit)

    def drop_deliveries(self, before: datetime, limit: int) -> int:
        """Drop deliveries to webhooks that ended before a moment."""
        return self._drop(deliveries, deliveries.c.ended_at < before, limit)

    def drop_token_families(self, before: datetime, limit: int) -> int:
        """Drop families of refresh tokens that ended before a moment."""
        return self._drop(token_families, _ended(token_families, before), limit)

    def drop_bootstrap_tokens(self, before: datetime, limit: int) -> int:
        """Drop bootstrap tokens that ended before a moment."""
        return self._drop(bootstrap_tokens, _ended(bootstrap_tokens, before), limit)

    def drop_usage(self, limit: int) -> int:
        """Drop what devices reported for rollouts that are over: no gate asks for it any more."""
        is_over = ~rollouts.c.is_open | rollouts.c.deleted_at.is_not(None)
        of_it = rollouts.c.id == rollout_usage.c.rollout_id
        over = select(rollouts.c.id).where(of_it, is_over).correlate(rollout_usage)
        return self._drop(rollout_usage, over.exists(), limit)

    def drop_rollout_devices(self, before: datetime, limit: int) -> int:
        """Drop where devices stand with rollouts that ended before a moment; see the port.

        Found by the rollouts, which are few: the devices' rows are not looked through.
        """
        ended = select(rollouts.c.id).where(ended_before(before))
        return self._drop(rollout_devices, rollout_devices.c.rollout_id.in_(ended), limit)

    def drop_event_claims(self, before: datetime, limit: int) -> int:
        """Forget which events of generations were counted that came before a moment."""
        return self._drop(quality_claims, quality_claims.c.came_at < before, limit)

    def drop_quality(self, before: datetime, limit: int) -> int:
        """Drop how generations went before a moment."""
        return self._drop(quality_stretches, quality_stretches.c.began_at < before, limit)

    def drop_quality_subjects(self, before: datetime, limit: int) -> int:
        """Drop the subjects of generations of which nothing has come since a moment."""
        return self._drop(quality_subjects, quality_subjects.c.last_at < before, limit)

    def drop_routing(self, before_s: int, limit: int) -> int:
        """Drop what serving nodes did in stretches that began before so many seconds since 1970."""
        return self._drop(routing_series, routing_series.c.start_s < before_s, limit)

    def drop_routing_spools(self, before: datetime, limit: int) -> int:
        """Drop how far spools of nodes were dealt with that were not heard of since a moment."""
        return self._drop(routing_spools, routing_spools.c.heard_at < before, limit)

    def drop_api_keys(self, before: datetime, limit: int) -> int:
        """Drop API keys that ended before a moment; an organisation's youngest key stays."""
        made, made_later = tuple_(api_keys.c.created_at, api_keys.c.id), _younger.c
        is_followed = exists().where(
            made_later.organisation == api_keys.c.organisation,
            tuple_(made_later.created_at, made_later.id) > made,
        )
        return self._drop(api_keys, and_(_ended(api_keys, before), is_followed), limit)

    def _drop(self, table: Table, is_over: ColumnElement[bool], limit: int) -> int:
        """Drop some of a table's rows; those that another is about to drop are its."""
        keys = tuple(table.primary_key)
        some = select(*keys).where(is_over).limit(limit).with_for_update(skip_locked=True, of=table)
        gone = delete(table).where(tuple_(*keys).in_(some))
        return self._connection.execute(gone).rowcount


def _ended(table: Table, before: datetime) -> ColumnElement[bool]:
    return or_(table.c.expires_at < before, table.c.revoked_at < before)
