"""Dropping what has ended, so that no table grows for ever."""

from datetime import timedelta

from octomil.control.ports import Clock, Leftovers, Store
from octomil.control.services import deliveries, idempotency
from octomil.control.services.inference_events import CLAIMED_FOR
from octomil.control.services.quality import QUALITY_KEPT
from octomil.control.services.routing_reports import HOURS_KEPT, SPOOLS_KEPT

DROPPED_EVERY_S = 3600.0
CREDENTIALS_KEPT = timedelta(days=30)
"""So long it can be seen that a key or token was there; the audit knows for ever."""
ROLLOUT_DEVICES_KEPT = timedelta(days=90)
"""So long it can be seen where each device stood with a rollout that ended; its history stays."""

_AT_ONCE = 500


class LeftoverService:
    """Drops what has ended, of all organisations; several replicas may do so at once.

    Args:
        store: what is swept.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def drop_some(self) -> bool:
        """Drop a few rows of each kind; tell whether there may be more."""
        now = self._clock()
        credentials = now - CREDENTIALS_KEPT
        with self._store.system() as tx:
            rows: Leftovers = tx.leftovers
            dropped = (
                rows.drop_answers(now - idempotency.KEPT, _AT_ONCE),
                rows.drop_deliveries(now - deliveries.KEPT, _AT_ONCE),
                rows.drop_token_families(credentials, _AT_ONCE),
                rows.drop_bootstrap_tokens(credentials, _AT_ONCE),
                rows.drop_api_keys(credentials, _AT_ONCE),
                rows.drop_usage(_AT_ONCE),
                rows.drop_routing(int((now - HOURS_KEPT).timestamp()), _AT_ONCE),
                rows.drop_routing_spools(now - SPOOLS_KEPT, _AT_ONCE),
                rows.drop_rollout_devices(now - ROLLOUT_DEVICES_KEPT, _AT_ONCE),
                rows.drop_event_claims(now - CLAIMED_FOR, _AT_ONCE),
                rows.drop_quality(now - QUALITY_KEPT, _AT_ONCE),
                rows.drop_quality_subjects(now - QUALITY_KEPT, _AT_ONCE),
            )
        return max(dropped) == _AT_ONCE
