"""The unit of work, and what begins one."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from octomil.control.ports.audit import Audit
from octomil.control.ports.credentials import ApiKeys, BootstrapTokens, TokenFamilies
from octomil.control.ports.devices import Devices
from octomil.control.ports.files import BlobLedger, Blobs, Uploads
from octomil.control.ports.leftovers import Leftovers
from octomil.control.ports.placement import DeviceProfiles, RouteTallies
from octomil.control.ports.quality import Quality, QualityLedger
from octomil.control.ports.registry import Aliases, Lineage, ManifestKeys, Models, Versions
from octomil.control.ports.requests import IdempotencyKeys
from octomil.control.ports.rollouts import (
    Attestations,
    Offers,
    RolloutDevices,
    Rollouts,
    Rulings,
)
from octomil.control.ports.routing_series import RoutingHours, RoutingSeries
from octomil.control.ports.usage import Usage
from octomil.control.ports.webhooks import Deliveries, Outbox, Webhooks
from octomil.control.records import (
    ApiKey,
    BootstrapToken,
    Organisation,
    Revocation,
    RouteTally,
    SigningSecret,
    TokenFamily,
)
from octomil.errors import ServiceUnavailableError


class StoreUnreachableError(ServiceUnavailableError):
    """The database does not answer: what was begun there is undone."""


class StoreBusyError(ServiceUnavailableError):
    """Somebody else held the database for so long that nothing could be begun there."""


class TransactionConflictError(ServiceUnavailableError):
    """The database gave a transaction up for the sake of another; begun again, it may succeed."""


class OutcomeUnknownError(ServiceUnavailableError):
    """The database was lost while it committed: nobody knows whether it did."""


class Transaction(Protocol):
    """One organisation's unit of work: all of it happens, or nothing."""

    @property
    def organisation(self) -> str:
        """Whose it is."""

    @property
    def devices(self) -> Devices:
        """The devices."""

    @property
    def api_keys(self) -> ApiKeys:
        """The API keys."""

    @property
    def bootstrap_tokens(self) -> BootstrapTokens:
        """The bootstrap tokens."""

    @property
    def token_families(self) -> TokenFamilies:
        """The families of refresh tokens."""

    @property
    def models(self) -> Models:
        """The models."""

    @property
    def versions(self) -> Versions:
        """The versions of models, with their files."""

    @property
    def uploads(self) -> Uploads:
        """The uploads that can be gone on with."""

    @property
    def blobs(self) -> Blobs:
        """What is known about files that are kept."""

    @property
    def lineage(self) -> Lineage:
        """Which versions come from which."""

    @property
    def aliases(self) -> Aliases:
        """The names that point at versions."""

    @property
    def manifest_keys(self) -> ManifestKeys:
        """The keys that manifests are signed with."""

    @property
    def rollouts(self) -> Rollouts:
        """The rollouts."""

    @property
    def rollout_devices(self) -> RolloutDevices:
        """Where devices stand with rollouts."""

    @property
    def rulings(self) -> Rulings:
        """Which versions must not be rolled out."""

    @property
    def attestations(self) -> Attestations:
        """What devices attest that they run."""

    @property
    def usage(self) -> Usage:
        """What devices report of the requests that they answered."""

    @property
    def routing_series(self) -> RoutingSeries:
        """What serving nodes did over time."""

    @property
    def route_tallies(self) -> RouteTallies:
        """The decisions where models run, counted."""

    @property
    def device_profiles(self) -> DeviceProfiles:
        """What devices measured of themselves."""

    @property
    def quality(self) -> Quality:
        """How generations went."""

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of events."""

    @property
    def outbox(self) -> Outbox:
        """What they are to be told."""

    @property
    def audit(self) -> Audit:
        """The acts."""

    @property
    def idempotency_keys(self) -> IdempotencyKeys:
        """The answers kept for requests that come again."""

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call something once all this is committed, and only then; it touches memory alone."""


class SystemTransaction(Protocol):
    """What must be found before it is known whose it is, and what is everybody's."""

    @property
    def blob_ledger(self) -> BlobLedger:
        """All files that are kept, and all uploads."""

    @property
    def deliveries(self) -> Deliveries:
        """What all webhooks are to be told."""

    @property
    def offers(self) -> Offers:
        """The rollouts of all organisations."""

    @property
    def leftovers(self) -> Leftovers:
        """What has ended."""

    @property
    def quality_ledger(self) -> QualityLedger:
        """How the generations of all organisations went."""

    @property
    def routing_hours(self) -> RoutingHours:
        """What serving nodes did long ago."""

    def add_organisation(self, organisation: Organisation) -> bool:
        """Add an organisation; return False if the id is taken."""

    def organisation(self, organisation_id: str) -> Organisation | None:
        """Return an organisation."""

    def organisations(self, after: str = "", limit: int | None = None) -> Sequence[Organisation]:
        """Return the organisations behind an id, by their ids."""

    def key_of_hash(self, key_hash: bytes) -> ApiKey | None:
        """Return the API key with that SHA-256, if it was ever given out."""

    def bootstrap_token_of_hash(self, token_hash: bytes) -> BootstrapToken | None:
        """Return the bootstrap token with that SHA-256, if it was ever given out."""

    def token_family(self, family_id: str) -> TokenFamily | None:
        """Return a family of refresh tokens."""

    def revocations(self, since: datetime) -> Sequence[Revocation]:
        """Return the revocations of access tokens since a moment."""

    def signing_secrets(self) -> Sequence[SigningSecret]:
        """Return all secrets that tokens were signed with, oldest first."""

    def add_signing_secret(self, secret: SigningSecret) -> None:
        """Add a secret; the ones before it are retired at its creation."""

    def note_last_seen(self, seen: Iterable[tuple[str, datetime]]) -> None:
        """Note when devices were last seen, by id; an earlier moment than the known is ignored."""

    def note_key_uses(self, used: Iterable[tuple[str, datetime]]) -> None:
        """Note when keys were last used, by id; an earlier moment than the known is ignored."""

    def add_route_tallies(self, tallies: Iterable[tuple[str, RouteTally]]) -> None:
        """Add to what was decided before about models, by organisation.

        An organisation has room for so many different models; of others nothing is counted.
        """

    def setting(self, name: str) -> str | None:
        """Return a value that all replicas share."""

    def put_setting(self, name: str, value: str) -> None:
        """Set a value that all replicas share."""


class Store(Protocol):
    """Opens transactions; each is to be used by one thread, and briefly.

    Leaving a `with` block commits, and what is committed survives a loss of power; an exception
    that leaves the block rolls back.
    """

    def transaction(self, organisation: str) -> AbstractContextManager[Transaction]:
        """Begin to read and write."""

    def snapshot(self, organisation: str) -> AbstractContextManager[Transaction]:
        """Begin to read, all from one moment; writing is refused."""

    def system(self) -> AbstractContextManager[SystemTransaction]:
        """Begin to read and write what is no organisation's own."""

    def system_snapshot(self) -> AbstractContextManager[SystemTransaction]:
        """Begin to read what is no organisation's own."""

    def group(self) -> AbstractContextManager[None]:
        """Make the transactions that this thread begins in the block parts of one.

        Each can still be rolled back by itself, and sees those before it; the disk is waited for
        once, at the end of the block. Nothing of it may be acknowledged earlier. A group in a group
        is a part of it that is undone as a whole.
        """

    def scrub(self) -> None:
        """Take what was overwritten out of the database's files, where the database lets one.

        Raises:
            ServiceUnavailableError: it is in use.
        """

    def close(self) -> None:
        """Give everything back; closing twice is harmless."""
