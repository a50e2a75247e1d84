"""What has ended and is of no more use, whosever it is."""

from datetime import datetime
from typing import Protocol


class Leftovers(Protocol):
    """Rows of all organisations that nobody asks for any more.

    Each method drops some, at most `limit`, and returns how many that were. Several replicas may
    drop at once; what one drops, the others do not count.
    """

    def drop_answers(self, before: datetime, limit: int) -> int:
        """Drop the answers to requests that came before a moment, with their keys."""

    def drop_deliveries(self, before: datetime, limit: int) -> int:
        """Drop deliveries to webhooks that ended before a moment."""

    def drop_token_families(self, before: datetime, limit: int) -> int:
        """Drop families of refresh tokens that ended before a moment."""

    def drop_bootstrap_tokens(self, before: datetime, limit: int) -> int:
        """Drop bootstrap tokens that ended before a moment."""

    def drop_usage(self, limit: int) -> int:
        """Drop what devices reported for rollouts that are over: no gate asks for it any more."""

    def drop_rollout_devices(self, before: datetime, limit: int) -> int:
        """Drop where devices stand with rollouts that ended before a moment, and lead nowhere.

        Those stay that say what devices run, or would once the one above them is rolled back: what
        their devices attest is compared with them.
        """

    def drop_event_claims(self, before: datetime, limit: int) -> int:
        """Forget which events of generations were counted that came before a moment."""

    def drop_quality(self, before: datetime, limit: int) -> int:
        """Drop how generations went before a moment."""

    def drop_quality_subjects(self, before: datetime, limit: int) -> int:
        """Drop the subjects of generations of which nothing has come since a moment."""

    def drop_routing(self, before_s: int, limit: int) -> int:
        """Drop what serving nodes did in stretches that began before so many seconds since 1970."""

    def drop_routing_spools(self, before: datetime, limit: int) -> int:
        """Drop how far spools of nodes were dealt with that were not heard of since a moment."""

    def drop_api_keys(self, before: datetime, limit: int) -> int:
        """Drop API keys that ended before a moment; an organisation's youngest key stays.

        That one tells a later start that there was a first one, which makes no admin key again.
        """
